"""What KFP's API has no words for: tasks, logs, curves, plans, reruns, and why a task was or was not cached."""

from collections.abc import Mapping
from typing import Any

from pipeline.engine import fingerprint
from pipeline.engine.reader import Reader
from pipeline.engine.records import Metric, Run, Task
from pipeline.engine.rerun import Plan
from pipeline.engine.round_log import RoundLog
from pipeline.errors import PipelineError
from pipeline.server import logs
from pipeline.server.api.calls import OWN, Call, route
from pipeline.server.rendering import plain
from pipeline.words import run_word, task_word

MOST_EVENTS = 1000
_SHOWN = ("key", "label", "name", "kind", "parent", "state", "reason", "cached", "attempts", "created", "started")
_ALSO_SHOWN = ("ended", "explanation", "progress", "note", "retry_at")


def run_named(call: Call) -> Run:
    """The run of the address: id, unique beginning, or `latest`."""
    return call.services.reader.run(call.path("run_id"))


def task_named(call: Call, run: Run) -> Task:
    """The task that `key` names: its key, label, or the unique end of a label."""
    key = call.query("key")
    if not key:
        raise PipelineError("key is missing; GET runs/{run_id}/tasks lists the keys")
    return call.services.reader.task(run.run_id, key)


def tasks(call: Call) -> dict[str, Any]:
    """All tasks of a run that are known so far, groups before their members."""
    run = run_named(call)
    listed = call.services.reader.tasks(run.run_id)
    return {"run_id": run.run_id, "state": run.state, "word": run_word(run), "tasks": [_task(t) for t in listed]}


def _task(task: Task) -> dict[str, Any]:
    return {name: plain(getattr(task, name)) for name in _SHOWN + _ALSO_SHOWN} | {"word": task_word(task)}


def log(call: Call) -> dict[str, Any]:
    """A piece of a task's log."""
    run = run_named(call)
    task = task_named(call, run)
    attempt, offset = call.whole("attempt", 0), call.whole("offset", 0)
    limit = call.whole("limit", logs.CHUNK_BYTES)
    if attempt < 0 or not 4 <= limit <= logs.MOST_BYTES:
        raise PipelineError(f"attempt counts from 1, and limit is 4 to {logs.MOST_BYTES} bytes")
    piece = logs.read(call.services.reader, run.run_id, task.key, attempt, offset, limit)
    return {
        "text": piece.text,
        "offset": piece.offset,
        "size": piece.size,
        "ended": piece.ended,
        "attempt": piece.attempt,
    }


def metrics(call: Call) -> dict[str, Any]:
    """A task's learning curves."""
    points = points_of(call.services.reader, task_named(call, run_named(call)))
    series: dict[str, dict[str, list[float]]] = {}
    for point in _one_line(points):
        for name, value in point.values.items():
            line = series.setdefault(name, {"x": [], "y": []})
            line["x"].append(point.step)
            line["y"].append(value)
    return {"series": series, "count": len(points)}


def points_of(reader: Reader, task: Task) -> list[Metric]:
    """Points of a task, or of the execution that it reuses."""
    run_id, key = task.origin if task.cached and task.origin else (task.run_id, task.key)
    return reader.metrics(run_id, key)


def _one_line(points: list[Metric]) -> list[Metric]:
    """A later attempt takes over from its first step on, so that a curve never goes back."""
    kept: list[Metric] = []
    for point in points:
        if kept and point.attempt != kept[-1].attempt:
            kept = [k for k in kept if k.step < point.step]
        kept.append(point)
    return kept


def events(call: Call) -> dict[str, Any]:
    """The journal of a run, at most 1000 lines of it."""
    run, after = run_named(call), call.whole("after", 0)
    found = call.services.reader.events(run.run_id, after)[:MOST_EVENTS]
    return {"events": [plain(event) for event in found], "next": found[-1].sequence if found else after}


def cache(call: Call) -> dict[str, Any]:
    """Why a task was reused or had to run."""
    reader = call.services.reader
    task = task_named(call, run_named(call))
    earlier = [t for t in reader.executions_named(task.name) if t.parts and _was_before(t, task)]
    found = fingerprint.nearest(task.parts, [(t.run_id, t.key, t.parts) for t in earlier]) if task.parts else None
    return {
        "key": task.key,
        "label": task.label,
        "cached": task.cached,
        "explanation": task.explanation or task.note or f"{task.label} is {task.state}: nothing was looked up",
        "fingerprint": task.fingerprint,
        "parts": plain(task.parts),
        "origin": {"run_id": task.origin[0], "key": task.origin[1]} if task.origin else None,
        "nearest": {"run_id": found.run_id, "key": found.key} if found and found.run_id else None,
        "differences": list(found.differences) if found and not task.cached else [],
    }


def _was_before(other: Task, task: Task) -> bool:
    return (other.run_id, other.key) != (task.run_id, task.key) and other.ended <= (task.started or task.created)


def retry_plan(call: Call) -> dict[str, Any]:
    """What a retry will do."""
    return plan_of(call.services.engine.plan_retry(run_named(call).run_id))


def rerun_plan(call: Call) -> dict[str, Any]:
    """What a rerun of a task will do."""
    run, task, overrides = _asked(call)
    return plan_of(call.services.engine.plan_rerun(run.run_id, task, overrides))


def rerun_plan_with_changes(call: Call) -> dict[str, Any]:
    """What a rerun of a task with other inputs will do."""
    return rerun_plan(call)


def rerun(call: Call) -> dict[str, Any]:
    """Makes the new run; the server executes it."""
    run, task, overrides = _asked(call)
    plan = call.services.engine.plan_rerun(run.run_id, task, overrides)
    return {"run_id": call.services.engine.rerun(run.run_id, task, overrides), "plan": plan_of(plan)}


def _asked(call: Call) -> tuple[Run, str, Mapping[str, Any]]:
    run = run_named(call)
    task = call.body.text("task") or call.query("key")
    if not task:
        raise PipelineError("no task is named; give its key or label as `task`")
    return run, task, call.body.within("overrides").values


def plan_of(plan: Plan) -> dict[str, Any]:
    """A plan as JSON; `seconds` as if everything ran one after the other."""
    return {"run_id": plan.run_id, "rows": [plain(row) for row in plan.rows], "seconds": plan.seconds}


def rounds(call: Call) -> dict[str, Any]:
    """The rounds of data: for each watched folder the versions of its rounds, and what they launched."""
    rounds = RoundLog(call.services.store.database)
    return {
        "sources": [
            plain(source)
            | {
                "versions": plain(rounds.versions(source.source_id)),
                "launches": plain(rounds.launches(source.source_id)),
            }
            for source in rounds.sources()
        ]
    }


def state(call: Call) -> dict[str, Any]:
    """The state folder: path, device and inode, by which a client on this machine knows that it sees the same files."""
    folder = call.services.state_dir.resolve()
    found = folder.stat()
    return {"folder": str(folder), "device": found.st_dev, "inode": found.st_ino}


def _own(method: str, path: str, handler: Any) -> Any:
    return route(method, path, handler, OWN)


_ONE = "/runs/{run_id}"
routes = [
    _own("GET", "/rounds", rounds),
    _own("GET", "/state", state),
    _own("GET", _ONE + "/tasks", tasks),
    _own("GET", _ONE + "/log", log),
    _own("GET", _ONE + "/metrics", metrics),
    _own("GET", _ONE + "/events", events),
    _own("GET", _ONE + "/cache", cache),
    _own("GET", _ONE + "/plan/retry", retry_plan),
    _own("GET", _ONE + "/plan/rerun", rerun_plan),
    _own("POST", _ONE + "/plan/rerun", rerun_plan_with_changes),
    _own("POST", _ONE + "/rerun", rerun),
]

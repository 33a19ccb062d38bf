"""`/runs/{id}/task?key=...`: what did this step do, why did it fail?"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline import words
from pipeline.engine.records import Attempt, Run, Task
from pipeline.engine.states import RUN_ENDED, TASK_ENDED, TaskState
from pipeline.errors import NotFound
from pipeline.server import awaited_task, curves, log_view, rendering, task_values, task_view
from pipeline.server.curves import Chart
from pipeline.server.log_view import Found, Page
from pipeline.server.task_view import Execution

LONGEST_SEARCH = 200


def page(request: Request) -> Response:
    """Everything about one task; the cause of its failure first."""
    reader = request.app.state.services.reader
    run = reader.run(request.path_params["run_id"])
    key = request.query_params.get("key", "")
    task = reader.task_at(run.run_id, key)
    if task is None or not task.is_leaf:
        awaited = awaited_task.find(task_view.pipeline_of(reader, run), run, reader.tasks(run.run_id), key)
        if awaited:
            return rendering.respond(request, "task_awaited.html", {"run": _named(run), "task": awaited})
        if task:  # a group that has its tasks by now, also while somebody waits for it on the page above
            return RedirectResponse(f"/runs/{run.run_id}?tab=tasks", 303)
        task = reader.task(run.run_id, key)  # a label will do; else this says what there is
    if (run.run_id, task.key) != (request.path_params["run_id"], key):
        query = dict(request.query_params) | {"key": task.key}
        return RedirectResponse(f"/runs/{run.run_id}/task?{urlencode(query)}", 303)
    return _page(request, run, task)


def _page(request: Request, run: Run, task: Task) -> Response:
    services = request.app.state.services
    reader = services.reader
    tasks = reader.tasks(run.run_id)
    ran = task_view.execution(reader, task)
    attempt = _attempt(request, ran)
    pipeline = task_view.pipeline_of(reader, run)
    metrics = reader.metrics(ran.run_id, ran.key)
    log, found = _log(request, attempt)
    now = services.clock.now()
    data = {
        "run": _named(run),
        "task": task,
        "word": words.task_word(task),
        "cause": task_view.cause(pipeline, task, ran, tasks),
        "why": task_view.why(reader, task),
        "resources": task_view.resources(pipeline, task, attempt),
        "attempts": ran.attempts,
        "attempt": attempt.number if attempt else 0,
        "charts": curves.charts(metrics),
        "points": curves.points(metrics),
        "values": task_values.shown(services.state_dir, run, task, tasks),
        "log": log,
        "found": found,
        "by_hand": task_view.by_hand(attempt),
        "share": words.progress_share(task),
        "seconds_left": task_view.seconds_left(reader, task, now) if task.state is TaskState.RUNNING else None,
    }
    return rendering.respond(request, "task.html", data, **_around(request, run, task, ran, attempt, tasks))


def _named(run: Run) -> Mapping[str, str]:
    return {"run_id": run.run_id, "name": run.name, "state": run.state, "word": words.run_word(run)}


def _around(
    request: Request, run: Run, task: Task, ran: Execution, attempt: Attempt | None, tasks: list[Task]
) -> Mapping[str, Any]:
    """What only the page needs: neighbours, addresses, whether it is live."""
    key = {"key": task.key}
    chosen = {"attempt": attempt.number} if attempt and len(ran.attempts) > 1 else {}
    stream = {"key": ran.key} | ({"attempt": attempt.number} if attempt else {})
    return {
        "neighbours": task_view.neighbours(task, tasks),
        "live": run.run_id if run.state not in RUN_ENDED else "",
        "following": attempt is not None and task.state not in TASK_ENDED and attempt.state is TaskState.RUNNING,
        "here": f"/runs/{run.run_id}/task?{urlencode(key)}",
        "log_here": f"/runs/{run.run_id}/task?{urlencode(key | chosen)}",
        "lines": f"/runs/{run.run_id}/task/log?{urlencode(key | chosen)}",
        "stream": f"/seamline/v1/runs/{ran.run_id}/log/stream?{urlencode(stream)}",
        "rerun": f"/runs/{run.run_id}/rerun?{urlencode(key)}",
        "query": request.query_params,
        "charts_attempt": len(ran.attempts),
        "chart_json": _chart_json,
        "shortened": task_view.shortened,
    }


def _chart_json(chart: Chart) -> str:
    return json.dumps([[s.name, s.label, s.attempt, s.x, s.y] for s in chart.series], separators=(",", ":"))


def lines(request: Request) -> Response:
    """A page of the log: what stands before or after an offset, as a fragment for the script or as JSON."""
    reader = request.app.state.services.reader
    run = reader.run(request.path_params["run_id"])
    task = reader.task_at(run.run_id, request.query_params.get("key", ""))
    if task is None:
        raise NotFound(f"run {run.run_id[:8]} has no task with key {request.query_params.get('key', '')!r}")
    attempt = _attempt(request, task_view.execution(reader, task))
    log, _ = _log(request, attempt)
    return rendering.respond(request, "_task_log_lines.html", {"log": log})


def _log(request: Request, attempt: Attempt | None) -> tuple[Page, Found | None]:
    """The part of the log that is asked for, and what was found in it."""
    path = task_view.log_path(attempt)
    query = request.query_params
    wanted = query.get("find", "")[:LONGEST_SEARCH]
    found = log_view.search(path, wanted) if wanted else None
    if (start := _offset(query.get("at", ""))) is not None:
        return log_view.following(path, start), found
    return log_view.last(path, _offset(query.get("before", ""))), found


def _offset(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _attempt(request: Request, ran: Execution) -> Attempt | None:
    """The attempt that is asked for, else the last.

    Raises:
        NotFound: there is no such attempt.
    """
    number = _offset(request.query_params.get("attempt", "")) or 0
    attempt = ran.attempt(number)
    if attempt is None and number:
        raise NotFound(f"{ran.key} has no attempt {number}; it has {len(ran.attempts)}")
    return attempt


routes = [Route("/runs/{run_id}/task", page), Route("/runs/{run_id}/task/log", lines)]

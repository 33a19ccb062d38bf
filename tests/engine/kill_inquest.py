"""What must hold after any kill, over rows, journal and files of a state folder; says in words what does not."""

import collections
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.records import Event
from pipeline.engine.states import RunState, TaskState, check_run_move, check_task_move
from pipeline.engine.store import Store
from pipeline.errors import Conflict


@dataclass(frozen=True)
class Remains:
    """What a run has left, without what differs between any two runs.

    Attributes:
        executed: how often the command of each task ran, which it counts itself in a file.
        states: of all tasks, groups too.
        outputs: of all tasks, as JSON with the state folder's path taken out.
        files: committed artifacts, path to bytes.
        metrics: points of the learning curves of the last attempt, by task.
    """

    executed: Mapping[str, int]
    states: Mapping[str, str]
    outputs: Mapping[str, str]
    files: Mapping[str, bytes]
    metrics: Mapping[str, list[Any]]


def remains_of(store: Store, run_id: str, side_effects: Path) -> Remains:
    """Collects what a run has left."""
    tasks = store.tasks(run_id)
    counted = side_effects.read_text().splitlines() if side_effects.exists() else []
    committed = store.directory / "artifacts"
    return Remains(
        executed=dict(collections.Counter(line.split()[0] for line in counted)),
        states={t.key: str(t.state) for t in tasks},
        outputs={t.key: json.dumps(t.outputs.as_json()).replace(str(store.directory), "STATE") for t in tasks},
        files={str(p.relative_to(committed)): p.read_bytes() for p in sorted(committed.rglob("*")) if p.is_file()},
        metrics={t.key: [m.values for m in store.metrics(run_id, t.key) if m.attempt == t.attempts] for t in tasks},
    )


def differences(found: Remains, expected: Remains, repeatable: tuple[str, ...]) -> Iterator[str]:
    """How a disturbed run differs from one that nobody disturbed.

    Args:
        found: of the disturbed run.
        expected: of the other one.
        repeatable: keys of the tasks that were killed or stopped; no other may run again.
    """
    for key in expected.executed.keys() | found.executed.keys():
        if key not in repeatable and found.executed.get(key) != expected.executed.get(key):
            yield f"{key} ran {found.executed.get(key, 0)} times instead of {expected.executed.get(key, 0)}"
    for what in ("states", "outputs", "files", "metrics"):
        one, other = getattr(found, what), getattr(expected, what)
        yield from (
            f"{what} of {key}: {one.get(key)!r} instead of {other.get(key)!r}"
            for key in sorted(one.keys() | other.keys())
            if one.get(key) != other.get(key)
        )


def wrong_attempts(store: Store, run_id: str, side_effects: Path) -> Iterator[str]:
    """Attempts that ran twice, that ran unrecorded, or that came after a committed one."""
    counted = collections.Counter(side_effects.read_text().splitlines() if side_effects.exists() else [])
    yield from (f"attempt {line} ran {n} times" for line, n in counted.items() if n > 1)
    recorded = set()
    for task in store.tasks(run_id):
        attempts = store.attempts(run_id, task.key)
        recorded |= {f"{a.key} {a.number}" for a in attempts}
        committed = [a.number for a in attempts if a.state is TaskState.SUCCEEDED]
        if len(committed) > 1 or (committed and committed[0] != attempts[-1].number):
            yield f"{task.key} has committed attempts {committed} of {len(attempts)}"
        yield from (f"attempt {a.number} of {a.key} is open" for a in attempts if a.state is TaskState.RUNNING)
    yield from (f"attempt {line} ran without being recorded" for line in counted.keys() - recorded)


def wrong_moves(store: Store, run_id: str) -> Iterator[str]:
    """Replays the journal: every move must be legal, and the rows must be where it ends."""
    tasks = {t.key: t for t in store.tasks(run_id)}
    at: dict[str, str] = {}
    for event in store.events(run_id):
        if event.kind in ("run", "retry"):
            yield from _wrong_run_move(at, event)
        elif event.kind == "task":
            yield from _wrong_task_move(at, event, tasks[event.key].is_leaf)
    rows = {"": str(store.run(run_id).state)} | {k: str(t.state) for k, t in tasks.items()}
    yield from (f"the journal says {at.get(k)} of {k!r}, its row {rows[k]}" for k in rows if at.get(k) != rows[k])


def _wrong_run_move(at: dict[str, str], event: Event) -> Iterator[str]:
    old, new = at.get(""), str(event.detail.get("state", "PENDING"))  # a retry makes a run wait
    at[""] = new
    if old is None:
        if new != "PENDING":
            yield f"the run begins as {new}"
    elif old != new:  # the next engine takes it up as it is
        yield from _conflict(lambda: check_run_move(RunState(old), RunState(new)))


def _wrong_task_move(at: dict[str, str], event: Event, is_leaf: bool) -> Iterator[str]:
    old, new = at.get(event.key), str(event.detail["state"])
    at[event.key] = new
    if old is None or (not is_leaf and old != "SUCCEEDED"):  # groups follow their members
        return
    yield from _conflict(lambda: check_task_move(TaskState(old), TaskState(new)), event.key)


def _conflict(check: Any, key: str = "") -> Iterator[str]:
    try:
        check()
    except Conflict as error:
        yield f"{key}: {error}"


def wrong_files(store: Store) -> Iterator[str]:
    """Half-written files among what is committed, a damaged database, a note or a commit that is not whole."""
    (verdict,) = store.database.rows("PRAGMA integrity_check")
    if verdict[0] != "ok":
        yield f"the database is damaged: {verdict[0]}"
    for path in (store.directory / "artifacts").rglob("*.new"):
        yield f"{path} is among the committed artifacts"
    for name in ("exit.json", "commit.json"):
        for path in (store.directory / "runs").rglob(name):
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                yield f"{path} is half written"

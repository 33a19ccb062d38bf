"""What can be asked of a state folder; `writer.Writer` adds what can be written. All SQL stands in this package.

A reader never blocks the engine and needs no lock (SQLite's WAL).
"""

import json
import sqlite3
import statistics
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pipeline.engine.failures import Failure
from pipeline.engine.records import Attempt, Event, Metric, Run, Task
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.values import Values
from pipeline.errors import NotFound

T = TypeVar("T", Run, Task, Attempt, Event, Metric)
MAX_LISTED = 10
HISTORY = 5  # executions that say how long the next one takes
EXAMINED = 100  # executions of a name among which those of the same label are looked for
_EXECUTED = "kind = 'task' AND state = 'SUCCEEDED' AND NOT cached"


class Reader:
    """Looks at runs, tasks, attempts, metrics and the journal. One object per thread."""

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        self.directory = directory
        self._db = connection
        self._db.row_factory = sqlite3.Row

    def runs(self, limit: int = 0) -> list[Run]:
        """Runs, newest first; 0 means all."""
        return [
            load(Run, row)
            for row in self._db.execute(
                "SELECT * FROM runs WHERE deleted = 0 ORDER BY number DESC LIMIT ?", (limit or -1,)
            )
        ]

    def unfinished(self) -> list[Run]:
        """Runs that have not ended, oldest first."""
        sql = "SELECT * FROM runs WHERE state IN ('PENDING', 'RUNNING', 'CANCELING') ORDER BY number"
        return [load(Run, row) for row in self._db.execute(sql)]

    def run(self, name: str) -> Run:
        """A run by its id, a unique beginning of it, or `latest`.

        Raises:
            NotFound: no run, or several.
        """
        if name == "latest":
            rows = self._rows("SELECT * FROM runs WHERE deleted = 0 ORDER BY number DESC LIMIT 1")
        else:
            rows = self._rows("SELECT * FROM runs WHERE run_id = ? AND deleted = 0", (name,)) or self._beginning(name)
        if len(rows) == 1:
            return load(Run, rows[0])
        if not rows:
            raise NotFound(f"no run {name!r} in {self.directory}; `seamline runs` lists them")
        raise NotFound(f"run {name!r} is not unique: {', '.join(row['run_id'] for row in rows)}; give more characters")

    def _beginning(self, name: str) -> list[sqlite3.Row]:
        """Runs whose id begins like this; no index helps, so whole ids are looked for before."""
        begins = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        sql = "SELECT * FROM runs WHERE run_id LIKE ? ESCAPE '\\' AND deleted = 0 LIMIT ?"
        return self._rows(sql, (begins, MAX_LISTED))

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def pipeline_text(self, run_id: str) -> str:
        """The IR that a run executes, as it was given."""
        sql = "SELECT text FROM pipelines JOIN runs ON digest = pipeline_digest WHERE run_id = ?"
        return str(self._db.execute(sql, (run_id,)).fetchone()["text"])

    def tasks(self, run_id: str) -> list[Task]:
        """All instances of a run that are known so far, groups before their members."""
        sql = "SELECT * FROM tasks WHERE run_id = ? ORDER BY position, key"
        return [load(Task, row) for row in self._db.execute(sql, (run_id,))]

    def task(self, run_id: str, name: str) -> Task:
        """A task by its key, its label, or a unique end of its label at a slash: `small/train-2`.

        Raises:
            NotFound: no task, or several; the message lists them.
        """
        tasks = [t for t in self.tasks(run_id) if t.is_leaf]
        for candidates in (
            [t for t in tasks if t.key == name],
            [t for t in tasks if t.label == name],
            [t for t in tasks if t.label.endswith("/" + name)],
        ):
            if len(candidates) == 1:
                return candidates[0]
            if candidates:
                listed = [f"{t.label} ({t.key})" if t.label == name else t.label for t in candidates]
                raise NotFound(f"task {name!r} could be {_listed(listed)}; give one of these, or its key")
        raise NotFound(f"run {run_id[:8]} has no task {name!r}; it has {_listed([t.label for t in tasks])}")

    def task_at(self, run_id: str, key: str) -> Task | None:
        """A task by its exact key; None when there is none."""
        row = self._db.execute("SELECT * FROM tasks WHERE run_id = ? AND key = ?", (run_id, key)).fetchone()
        return load(Task, row) if row else None

    def attempts(self, run_id: str, key: str) -> list[Attempt]:
        """The attempts of a task, first to last."""
        sql = "SELECT * FROM attempts WHERE run_id = ? AND key = ? ORDER BY number"
        return [load(Attempt, row) for row in self._db.execute(sql, (run_id, key))]

    def failed_attempts(self, run_id: str) -> list[Attempt]:
        """Attempts of a run that ended in a failure or were lost and still count, first to last of each task."""
        sql = (
            "SELECT attempts.* FROM attempts JOIN tasks USING (run_id, key) "
            "WHERE run_id = ? AND failure_json <> '{}' AND number > counted_from ORDER BY key, number"
        )
        return [load(Attempt, row) for row in self._db.execute(sql, (run_id,))]

    def waiting_runs(self) -> list[tuple[str, bool]]:
        """Ids of the runs that have not ended, oldest first, and whether they are asked to stop."""
        sql = (
            "SELECT run_id, stop_requested FROM runs WHERE state IN ('PENDING', 'RUNNING', 'CANCELING') ORDER BY number"
        )
        return [(row["run_id"], bool(row["stop_requested"])) for row in self._db.execute(sql)]

    def open_attempts(self, run_id: str) -> list[Attempt]:
        """Attempts of a run that nobody has seen the end of."""
        sql = "SELECT * FROM attempts WHERE run_id = ? AND state = 'RUNNING' ORDER BY started, key"
        return [load(Attempt, row) for row in self._db.execute(sql, (run_id,))]

    def log_path(self, run_id: str, key: str, attempt: int = 0) -> Path:
        """The log of a task: of one attempt, or of the last; of the execution it reuses when it is cached.

        Raises:
            NotFound: the task has not been started.
        """
        task = self.task(run_id, key)
        if task.cached and task.origin:
            run_id, key = task.origin
        found = [a for a in self.attempts(run_id, key if task.cached else task.key) if attempt in (0, a.number)]
        if attempt and task.attempts and not found:
            raise NotFound(f"task {task.label} has no attempt {attempt}; it has {task.attempts}")
        if not found:
            raise NotFound(
                f"task {task.label} has no log: it is {task.state}" + (f" ({task.reason})" if task.reason else "")
            )
        return Path(found[-1].directory) / "log"

    def metrics(self, run_id: str, key: str) -> list[Metric]:
        """Points of a task's learning curves in the order in which they were said, over all attempts."""
        sql = "SELECT * FROM metrics WHERE run_id = ? AND key = ? ORDER BY number"
        return [load(Metric, row) for row in self._db.execute(sql, (run_id, key))]

    def events(self, run_id: str, after: int = 0) -> list[Event]:
        """The journal of a run, from after a sequence number on."""
        sql = "SELECT * FROM journal WHERE run_id = ? AND sequence > ? ORDER BY sequence"
        return [load(Event, row) for row in self._db.execute(sql, (run_id, after))]

    def pulse(self, run_id: str = "") -> str:
        """A text that changes whenever a run (or, without one, anything) does, or a running task says something."""
        where, given = (" AND attempts.run_id = ?", (run_id,)) if run_id else ("", ())
        journalled = "SELECT max(sequence) FROM journal" + (" WHERE run_id = ?" if run_id else "")
        said = (
            "SELECT total(log_offset) FROM attempts JOIN tasks USING (run_id, key) "
            "WHERE tasks.state = 'RUNNING' AND attempts.state = 'RUNNING'"
        )
        row = self._db.execute(f"SELECT ({journalled}), ({said}{where})", given * 2).fetchone()
        return f"{row[0] or 0}.{row[1]:.0f}"

    def stop_requested(self, run_id: str) -> bool:
        """Whether somebody asked to terminate the run."""
        row = self._db.execute("SELECT stop_requested FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return bool(row and row["stop_requested"])

    def executions_with(self, fingerprint: str) -> list[Task]:
        """Tasks that really ran to success with a cache key, newest first."""
        sql = f"SELECT * FROM tasks WHERE fingerprint = ? AND {_EXECUTED} ORDER BY ended DESC, rowid DESC"
        return [load(Task, row) for row in self._db.execute(sql, (fingerprint,))]

    def executions_named(self, name: str, limit: int = EXAMINED) -> list[Task]:
        """Tasks of a name that really ran to success, in any run, newest first."""
        sql = f"SELECT * FROM tasks WHERE name = ? AND {_EXECUTED} ORDER BY ended DESC LIMIT ?"
        return [load(Task, row) for row in self._db.execute(sql, (name, limit))]

    def cache_keys_named(self, name: str, fingerprint: str, limit: int = 50) -> list[tuple[str, str, dict[str, Any]]]:
        """(run id, label, parts of the cache key) of tasks of a name that really ran to success.

        Those with the same fingerprint come first, then the newest.
        """
        sql = (
            f"SELECT run_id, label, parts_json FROM tasks WHERE name = ? AND {_EXECUTED} AND parts_json <> '{{}}' "
            "ORDER BY fingerprint = ? DESC, ended DESC LIMIT ?"
        )
        rows = self._db.execute(sql, (name, fingerprint, limit))
        return [(row["run_id"], row["label"], json.loads(row["parts_json"])) for row in rows]

    def expected_seconds(self, name: str, label: str = "") -> float | None:
        """How long a task takes: median of its last executions, of the same label if there are any; None at first."""
        sql = (  # all of it stands in the index `tasks_executed`
            f"SELECT label, ended - started AS seconds FROM tasks WHERE name = ? AND {_EXECUTED} "
            "AND started > 0 AND ended > started ORDER BY ended DESC LIMIT ?"
        )
        earlier = self._db.execute(sql, (name, EXAMINED)).fetchall()
        same = [row["seconds"] for row in earlier if row["label"] == label] or [row["seconds"] for row in earlier]
        return statistics.median(same[:HISTORY]) if same else None


def _listed(labels: list[str]) -> str:
    shown = ", ".join(labels[:MAX_LISTED]) or "none yet"
    return shown + (f" and {len(labels) - MAX_LISTED} more" if len(labels) > MAX_LISTED else "")


_CONVERT: Mapping[tuple[type, str], Any] = {
    (Run, "state"): RunState,
    (Run, "reuse"): lambda v: {k: (run_id, key) for k, (run_id, key) in v.items()},
    (Run, "forced"): tuple,
    (Run, "cache"): bool,
    (Run, "stop_requested"): bool,
    (Run, "archived"): bool,
    (Task, "state"): TaskState,
    (Task, "cached"): bool,
    (Task, "origin"): lambda v: tuple(v) if v else None,
    (Task, "inputs"): Values.from_json,
    (Task, "outputs"): Values.from_json,
    (Attempt, "state"): TaskState,
    (Attempt, "failure"): Failure.from_json,
}


def load(cls: type[T], row: sqlite3.Row) -> T:
    """A row as its dataclass: column `x`, or `x_json` decoded, for field `x`."""
    columns = tuple(row.keys())
    reading = _READINGS.get((cls, columns)) or _READINGS.setdefault((cls, columns), _reading(cls, columns))
    return cls(*[convert(row[column]) for column, convert in reading])


_Reading = list[tuple[str, Callable[[Any], Any]]]
_READINGS: dict[tuple[type, tuple[str, ...]], _Reading] = {}  # found once: a page reads thousands of rows


def _reading(cls: type[T], columns: tuple[str, ...]) -> _Reading:
    """For each field its column and how that is read."""
    found: _Reading = []
    for field in fields(cls):
        convert = _CONVERT.get((cls, field.name), _as_it_is)
        plain = field.name in columns
        found.append((field.name, convert) if plain else (field.name + "_json", partial(_decoded, convert)))
    return found


def _as_it_is(value: Any) -> Any:
    return value


def _decoded(convert: Callable[[Any], Any], text: str) -> Any:
    return convert({} if text == "{}" else json.loads(text))

"""What changes in a state folder: runs, tasks, attempts and what their logs say, each change with its journal entry.

`store.Store` adds the folder itself: opening it, its lock, its version.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.engine.database import Database, Journal, to_json
from pipeline.engine.fingerprint import digest_of_value
from pipeline.engine.reader import Reader
from pipeline.engine.records import Attempt, Metric, Run
from pipeline.engine.states import RunState, TaskState, check_run_move, check_task_move
from pipeline.engine.tree import Node
from pipeline.engine.values import Values
from pipeline.errors import Conflict


class Writer(Reader):
    """Writes runs, tasks and attempts; every method is one transaction."""

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        super().__init__(directory, connection)
        self._database = Database(connection)

    # Runs

    def keep_pipeline(self, text: str) -> str:
        """Keeps the text of a pipeline, once, and returns the digest by which it is found."""
        digest = digest_of_value(text)
        with self._database.writing():
            self._db.execute("INSERT OR IGNORE INTO pipelines VALUES (?, ?)", (digest, text))
        return digest

    def add_run(self, run: Run, pipeline_text: str) -> str:
        """Records a new run, unless its `run_key` has one already: whoever launches with a key launches once.

        Returns:
            The run's id, or that of the run that has the key.
        """
        digest = digest_of_value(pipeline_text)
        columns = {
            "run_id": run.run_id,
            "name": run.name,
            "pipeline": run.pipeline,
            "pipeline_digest": digest,
            "state": run.state,
            "created": run.created,
            "parameters_json": to_json(run.parameters),
            "labels_json": to_json(run.labels),
            "source": run.source,
            "reuse_json": to_json(run.reuse),
            "forced_json": to_json(run.forced),
            "overrides_json": to_json(run.overrides),
            "cache": run.cache,
            "description": run.description,
            "experiment_id": run.experiment_id,
            "version_id": run.version_id,
            "recurring_id": run.recurring_id,
            "scheduled": run.scheduled,
            "run_key": run.run_key,
        }
        with self._database.writing() as journal:
            taken = self._db.execute("SELECT run_id FROM runs WHERE run_key = ? AND run_key <> ''", (run.run_key,))
            if earlier := taken.fetchone():
                return str(earlier["run_id"])
            self._db.execute("INSERT OR IGNORE INTO pipelines VALUES (?, ?)", (digest, pipeline_text))
            self._database.insert("runs", columns)
            journal(run.created, run.run_id, "", "run", {"state": run.state, "source": run.source})
        return run.run_id

    def move_run(self, run_id: str, state: RunState, now: float, reason: str = "", executor: str | None = None) -> None:
        """Moves a run to a state; staying where it is records only the executor.

        Raises:
            Conflict: an illegal move.
        """
        run = self.run(run_id)
        if run.state is not state:
            check_run_move(run.state, state)
        columns: dict[str, Any] = {"state": state, "reason": reason}
        if executor is not None:
            columns["executor"] = executor
        if state is RunState.RUNNING:
            columns |= {"started": run.started or now, "ended": 0}
        if state in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELED):
            columns |= {"ended": now, "stop_requested": 0}
        with self._database.writing() as journal:
            self._database.update("runs", columns, {"run_id": run_id})
            journal(now, run_id, "", "run", {"state": state, "reason": reason})

    def forget_executor(self, run_id: str) -> None:
        """Records that nobody executes the run any more, although it has not ended."""
        with self._database.writing():
            self._database.update("runs", {"executor": ""}, {"run_id": run_id})

    def request_stop(self, run_id: str, now: float) -> None:
        """Asks whoever executes the run to stop it."""
        with self._database.writing() as journal:
            self._database.update("runs", {"stop_requested": 1}, {"run_id": run_id})
            journal(now, run_id, "", "stop requested", {})

    def reset_for_retry(self, run: Run, now: float, reason: str) -> None:
        """Makes a run ready to go on: what did not succeed waits again, what succeeded stays.

        Raises:
            Conflict: the run's state does not allow it, or has changed since it was read.
        """
        if run.state is not RunState.PENDING:
            check_run_move(run.state, RunState.PENDING)
        clean = {"state": TaskState.PENDING, "reason": "", "ended": 0, "retry_at": 0, "progress_json": "{}"}
        with self._database.writing() as journal:
            self._refuse_change(run)
            self._database.update(
                "runs",
                {"state": RunState.PENDING, "reason": "", "ended": 0, "stop_requested": 0},
                {"run_id": run.run_id},
            )
            self._db.execute(_COUNT_ANEW, (run.run_id,))
            journal(now, run.run_id, "", "retry", {"reason": reason})
            for task in self.tasks(run.run_id):
                if task.state not in (TaskState.SUCCEEDED, TaskState.RUNNING, TaskState.PENDING):
                    self._database.update("tasks", clean, {"run_id": run.run_id, "key": task.key})
                    journal(now, run.run_id, task.key, "task", {"state": TaskState.PENDING, "reason": reason})

    def _refuse_change(self, run: Run) -> None:
        """Inside a transaction: whoever decided by an older look at the run must look again."""
        latest = self.run(run.run_id)
        if (latest.state, latest.executor) != (run.state, run.executor):
            raise Conflict(f"run {run.run_id[:8]} has just become {latest.state}; look at it again")

    # Tasks

    def put_nodes(self, run_id: str, nodes: Sequence[Node], places: Mapping[str, int], now: float) -> None:
        """Records instances that are new, or whose state follows from others (groups, what waits or is omitted).

        Args:
            run_id: the run.
            nodes: what is new or changed.
            places: key -> position in the tree, of what is new or has moved.
            now: the time.
        """
        with self._database.writing() as journal:
            for node in nodes:
                self._put_node(run_id, node, now, journal)
            for key, position in places.items():
                self._database.update("tasks", {"position": position}, {"run_id": run_id, "key": key})

    def _put_node(self, run_id: str, node: Node, now: float, journal: Journal) -> None:
        row = self._db.execute("SELECT state FROM tasks WHERE run_id = ? AND key = ?", (run_id, node.key)).fetchone()
        columns: dict[str, Any] = {"state": node.state, "reason": node.reason}
        ended = node.state in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.SKIPPED, TaskState.CANCELED)
        columns["ended"] = now if ended else 0
        if not node.is_leaf:
            columns["outputs_json"] = to_json(_known(node.outputs).as_json())
        if row is None:
            same = {"label": node.label, "name": node.name, "kind": node.kind, "parent": node.parent}
            self._database.insert(
                "tasks",
                {"run_id": run_id, "key": node.key, "component": node.component, "created": now} | same | columns,
            )
        else:
            self._database.update("tasks", columns, {"run_id": run_id, "key": node.key})
        if row is None or row["state"] != node.state:
            self._db.execute(_FIRST_START, (now, run_id, node.key, node.state))
            journal(now, run_id, node.key, "task", {"state": node.state, "reason": node.reason})

    def move_task(self, run_id: str, key: str, state: TaskState, now: float, reason: str = "", **columns: Any) -> None:
        """Moves a task to a state.

        Args:
            run_id: the run.
            key: the task.
            state: the new state.
            now: the time.
            reason: in words, for people.
            **columns: other columns of its row, in the types of `records.Task`.

        Raises:
            Conflict: an illegal move, for instance away from SUCCEEDED.
        """
        with self._database.writing() as journal:
            self._move_task(run_id, key, state, now, reason, columns, journal)

    def note(self, run_id: str, key: str, note: str, now: float) -> None:
        """Records what is worth knowing of a task in its present state, for instance what it waits for."""
        with self._database.writing() as journal:
            self._database.update("tasks", {"note": note}, {"run_id": run_id, "key": key})
            journal(now, run_id, key, "note", {"note": note})

    def _move_task(
        self,
        run_id: str,
        key: str,
        state: TaskState,
        now: float,
        reason: str,
        columns: Mapping[str, Any],
        journal: Journal,
    ) -> None:
        row = self._db.execute("SELECT state FROM tasks WHERE run_id = ? AND key = ?", (run_id, key)).fetchone()
        check_task_move(TaskState(row["state"]), state)
        ended = now if state not in (TaskState.PENDING, TaskState.RUNNING) else 0
        self._database.update(
            "tasks",
            {"state": state, "reason": reason, "ended": ended} | _encoded(columns),
            {"run_id": run_id, "key": key},
        )
        detail = {"state": state, "reason": reason} | {
            k: columns[k] for k in ("cached", "explanation") if columns.get(k)
        }
        journal(now, run_id, key, "task", detail)

    # Attempts

    def begin_attempt(self, attempt: Attempt, **columns: Any) -> None:
        """Records that a command is about to run, before it may: what is not recorded never runs."""
        where = {"run_id": attempt.run_id, "key": attempt.key}
        values = where | {"number": attempt.number, "state": attempt.state, "directory": attempt.directory}
        started = {"attempts": attempt.number, "started": attempt.started, "progress_json": "{}"}
        with self._database.writing() as journal:
            times = {"started": attempt.started, "began": attempt.began}
            self._database.insert("attempts", values | {"handle": attempt.handle} | times)
            self._database.update("tasks", started, where)
            self._move_task(attempt.run_id, attempt.key, TaskState.RUNNING, attempt.started, "", columns, journal)
            journal(attempt.started, attempt.run_id, attempt.key, "attempt", {"number": attempt.number})

    def hold_attempt(self, attempt: Attempt, now: float) -> None:
        """Records that an attempt has left the queue of its place; its task counts as started from then."""
        where = {"run_id": attempt.run_id, "key": attempt.key}
        with self._database.writing() as journal:
            self._database.update("attempts", {"began": attempt.began}, where | {"number": attempt.number})
            self._database.update("tasks", {"started": attempt.began}, where)
            detail = {"number": attempt.number, "waited_s": round(attempt.began - attempt.started, 3)}
            journal(now, attempt.run_id, attempt.key, "attempt", detail)

    def end_attempt(
        self, attempt: Attempt, task_state: TaskState, now: float, reason: str = "", **columns: Any
    ) -> None:
        """Records how an attempt ended and what that makes of its task, in one transaction."""
        where = {"run_id": attempt.run_id, "key": attempt.key, "number": attempt.number}
        ending = {"state": attempt.state, "exit_code": attempt.exit_code, "ended": now, "reason": attempt.reason}
        with self._database.writing() as journal:
            told = {"usage_json": to_json(attempt.usage)}
            detail = {"number": attempt.number} | {k: ending[k] for k in ("state", "exit_code", "reason")}
            if attempt.failure:
                told["failure_json"] = to_json(attempt.failure.as_json())
                detail["failure"] = str(attempt.failure.kind)
            self._database.update("attempts", ending | told, where)
            journal(now, attempt.run_id, attempt.key, "attempt", detail)
            self._move_task(attempt.run_id, attempt.key, task_state, now, reason, columns, journal)

    def advance_log(
        self, attempt: Attempt, offset: int, progress: Mapping[str, Any], metrics: Sequence[Metric]
    ) -> None:
        """Records what a log said up to an offset: both together, so nothing is counted twice after a crash."""
        where = {"run_id": attempt.run_id, "key": attempt.key}
        with self._database.writing():
            self._database.update("attempts", {"log_offset": offset}, where | {"number": attempt.number})
            if progress:
                self._database.update("tasks", {"progress_json": to_json(progress)}, where)
            for point in metrics:
                values = {"attempt": point.attempt, "time": point.time, "step": point.step}
                self._database.insert("metrics", where | values | {"values_json": to_json(point.values)})


# The first time that a group runs is its start; later moves keep it.
_FIRST_START = (
    "UPDATE tasks SET started = ? WHERE run_id = ? AND key = ? AND started = 0 AND kind <> 'task' AND ? <> 'PENDING'"
)

# A retry of the run forgives its tasks what they failed by so far.
_COUNT_ANEW = "UPDATE tasks SET counted_from = max(0, attempts - (state = 'RUNNING')) WHERE run_id = ?"


def _encoded(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `records.Task` as columns."""
    return {_column(k): _cell(v) for k, v in columns.items()}


def _column(name: str) -> str:
    return name + "_json" if name in ("origin", "parts", "inputs", "outputs", "progress") else name


def _cell(value: Any) -> Any:
    if isinstance(value, Values):
        return to_json(value.as_json())
    return to_json(value) if isinstance(value, Mapping | tuple) else value


def _known(values: Values) -> Values:
    """Outputs without what is unknown or missing, which have no JSON."""
    known = {
        k: v for k, v in values.parameters.items() if isinstance(v, str | int | float | bool | list | tuple | dict)
    }
    return Values(known, values.artifacts)

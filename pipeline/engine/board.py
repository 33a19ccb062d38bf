"""What one execution knows. Mirrors the store: a change is written there first, so that a crash loses nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pipeline.engine import graph, ir, irtext, retries
from pipeline.engine.budget import demand_of
from pipeline.engine.expand import Memory, expand
from pipeline.engine.failures import Failure
from pipeline.engine.records import Attempt, Run, Task
from pipeline.engine.states import TaskState
from pipeline.engine.tools import Tools
from pipeline.engine.tree import Facts, Node, Record, Tree
from pipeline.engine.values import NOTHING, Values
from pipeline.errors import PipelineError

# Whether a task is skipped follows from others, so it is found out anew.
_KEPT = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELED})


class Board:
    """Histories of tasks and their open attempts.

    Attributes:
        run: the run.
        pipeline: its pipeline.
        live: open attempts by task key.
        adopted: keys of open attempts that an earlier engine started.
        tries: attempts ever made, by task key.
        retry_at: when a failed task may start again, by task key, as the monotonic clock tells it.
        failures: what counts against a task's retries, by task key.
        changed: something happened since the last look.
    """

    def __init__(self, tools: Tools, run: Run) -> None:
        self._tools = tools
        self._store = tools.store
        self.run = run
        self.pipeline = irtext.read(tools.store.pipeline_text(run.run_id))
        self.live: dict[str, Attempt] = {}
        self.adopted: set[str] = set()
        self.tries: dict[str, int] = {}
        self.retry_at: dict[str, float] = {}
        self.failures: dict[str, list[Failure]] = {}
        self.changed = True
        self._records: dict[str, Record] = {}
        self._shown: dict[str, tuple[TaskState, str]] = {}
        self._places: dict[str, int] = {}
        self._memory = Memory()
        self._recover()

    def now(self) -> float:
        """The time."""
        return self._tools.clock.now()

    def monotonic(self) -> float:
        """Seconds since some moment, for how long something takes."""
        return self._tools.clock.monotonic()

    def _recover(self) -> None:
        """Takes up what the store says: what has ended stays, open attempts are watched, whoever started them.

        A retry has made wait again what is to be repeated.
        """
        for task in self._store.tasks(self.run.run_id):
            self._shown[task.key] = (task.state, task.reason)
            self.tries[task.key] = task.attempts
            if task.is_leaf and task.state in _KEPT:
                self._records[task.key] = Record(task.state, task.outputs, task.reason)
            elif task.retry_at > self.now():
                self.retry_at[task.key] = self.monotonic() + self._still_to_wait(task)
        for attempt in self._store.failed_attempts(self.run.run_id):
            if attempt.failure:
                self.failures.setdefault(attempt.key, []).append(attempt.failure)
        for attempt in self._store.open_attempts(self.run.run_id):
            self._records[attempt.key] = Record(TaskState.RUNNING)
            self.live[attempt.key] = attempt
            self.adopted.add(attempt.key)
            self._hold(attempt)

    def _still_to_wait(self, task: Task) -> float:
        """Never more than its policy's longest wait, in case somebody has set the clock back meanwhile."""
        longest = max(self.task_of(task.key)[0].retry.backoff_max_s, retries.LONGEST_WAIT_S)
        return min(task.retry_at - self.now(), longest)

    def _hold(self, attempt: Attempt) -> None:
        task = self._store.task_at(attempt.run_id, attempt.key)
        demand = demand_of(self.container_of(attempt.key).resources, task.inputs.parameters if task else {})
        alone = self.runs_alone(attempt.key)
        self._tools.ledger.hold((attempt.run_id, attempt.key), demand, alone, task.fingerprint if task else "")

    def runs_alone(self, key: str) -> bool:
        """Whether the next attempt of a task has the machine to itself, since memory ran out in an earlier one."""
        return retries.needs_room(self.failures.get(key, ()))

    def look(self) -> Tree:
        """Unrolls the pipeline by what is known, and records what follows from it."""
        facts = Facts(self.run.parameters, self._records, self._names(), self.run.overrides)
        tree = expand(self.pipeline, facts, self._memory)
        fresh = [n for n in tree.nodes if self._differs(n)]
        moved = {n.key: i for i, n in enumerate(tree.nodes) if self._places.get(n.key) != i}
        if fresh or moved:
            self._store.put_nodes(self.run.run_id, fresh, moved, self.now())
        self._shown |= {n.key: (n.state, n.reason) for n in fresh}
        self._places |= moved
        return tree

    def _differs(self, node: Node) -> bool:
        """Whether the store's row has to change. Rows of tasks with a history are written where the history is made."""
        if node.key in self._shown and (node.key in self._records or node.key in self.retry_at):
            return False
        return self._shown.get(node.key) != (node.state, node.reason)

    def _names(self) -> dict[str, str]:
        created = datetime.fromtimestamp(self.run.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "{{$.pipeline_job_name}}": self.run.name,
            "{{$.pipeline_job_resource_name}}": self.run.run_id,
            "{{$.pipeline_job_uuid}}": self.run.run_id,
            "{{$.pipeline_job_create_time_utc}}": created,
            "{{$.pipeline_job_schedule_time_utc}}": created,
        }

    def settle(self, key: str, state: TaskState, reason: str, outputs: Values = NOTHING, **columns: Any) -> None:
        """Ends a task that has no attempt open."""
        self._store.move_task(self.run.run_id, key, state, self.now(), reason, outputs=outputs, **columns)
        self._remember(key, Record(state, outputs, reason))

    def begin(self, attempt: Attempt, **columns: Any) -> None:
        """Opens an attempt whose command waits to be released."""
        self._store.begin_attempt(attempt, **columns)
        self.live[attempt.key] = attempt
        self.tries[attempt.key] = attempt.number
        self._remember(attempt.key, Record(TaskState.RUNNING))

    def hold(self, attempt: Attempt, since: float) -> Attempt:
        """Takes down from when an attempt has held what it asked for, told by a clock that may not be ours."""
        held = replace(attempt, began=min(max(since, attempt.started), self.now()))
        self._store.hold_attempt(held, self.now())
        self.live[attempt.key] = held
        return held

    def end(self, attempt: Attempt, state: TaskState, outputs: Values = NOTHING) -> None:
        """Closes an attempt; the task ends with it, in the same state and for the same reason."""
        attempt = replace(attempt, state=state)
        self._store.end_attempt(attempt, state, self.now(), attempt.reason, outputs=outputs)
        self._close(attempt, Record(state, outputs, attempt.reason))

    def repeat(self, attempt: Attempt, wait_s: float = 0.0) -> None:
        """Closes an attempt that failed or was lost; the task waits for another one, that many seconds at least."""
        retry_at = self.now() + wait_s if wait_s else 0.0
        self._store.end_attempt(attempt, TaskState.PENDING, self.now(), attempt.reason, retry_at=retry_at)
        if wait_s:
            self.retry_at[attempt.key] = self.monotonic() + wait_s
        if attempt.failure:
            self.failures.setdefault(attempt.key, []).append(attempt.failure)
        self._close(attempt, None)

    def _close(self, attempt: Attempt, record: Record | None) -> None:
        self.live.pop(attempt.key, None)
        self.adopted.discard(attempt.key)
        self._tools.ledger.give_back((attempt.run_id, attempt.key))
        self._remember(attempt.key, record)

    def _remember(self, key: str, record: Record | None) -> None:
        if record is None:
            self._records.pop(key, None)
        else:
            self._records[key] = record
        self._shown[key] = (record.state, record.reason) if record else (TaskState.PENDING, "")
        self.changed = True

    def retry_is_due(self) -> bool:
        """Whether a failed task may start again now."""
        now = self.monotonic()
        due = [key for key, at in self.retry_at.items() if at <= now]
        for key in due:
            del self.retry_at[key]
        return bool(due)

    def task_of(self, key: str) -> tuple[ir.Task, ir.Component]:
        """The task of the IR behind a key, and its component."""
        return graph.component_of_key(self.pipeline, key)

    def container_of(self, key: str) -> ir.Container:
        """What a task runs.

        Raises:
            PipelineError: it is an importer.
        """
        executor = self.pipeline.executors[self.task_of(key)[1].executor]
        if isinstance(executor, ir.Importer):
            raise PipelineError(f"{key} is an importer and has no command")
        return executor

"""The states of runs and tasks, in KFP's words, and the moves between them that are legal."""

from enum import StrEnum

from pipeline.errors import Conflict


class RunState(StrEnum):
    """State of a run."""

    PENDING = "PENDING"  # created, or made ready by a retry, and not executing yet
    RUNNING = "RUNNING"  # executing; or interrupted, when its executor is gone
    CANCELING = "CANCELING"  # asked to stop; its tasks are being ended
    SUCCEEDED = "SUCCEEDED"  # no task failed, even when all were skipped
    FAILED = "FAILED"  # at least one task failed
    CANCELED = "CANCELED"  # stopped; `retry` goes on where it stopped


class TaskState(StrEnum):
    """State of a task, a loop, an iteration or a nested pipeline."""

    PENDING = "PENDING"  # waits for its upstream, for room on the machine, or for its next attempt
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"  # its outputs are committed
    SKIPPED = "SKIPPED"  # its condition is false, or something upstream did not succeed ("omitted")
    FAILED = "FAILED"
    CANCELED = "CANCELED"  # ended because the run was stopped


RUN_ENDED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELED})
TASK_ENDED = frozenset({TaskState.SUCCEEDED, TaskState.SKIPPED, TaskState.FAILED, TaskState.CANCELED})

_RUN_MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.PENDING: frozenset({RunState.RUNNING, RunState.CANCELED}),
    RunState.RUNNING: frozenset(set(RunState) - {RunState.RUNNING}),  # PENDING: retry of an interrupted run
    RunState.CANCELING: frozenset({RunState.CANCELED, RunState.SUCCEEDED, RunState.FAILED, RunState.PENDING}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset({RunState.PENDING}),
    RunState.CANCELED: frozenset({RunState.PENDING}),
}
_TASK_MOVES: dict[TaskState, frozenset[TaskState]] = {
    TaskState.PENDING: frozenset(set(TaskState) - {TaskState.PENDING}),
    TaskState.RUNNING: frozenset(set(TaskState) - {TaskState.RUNNING, TaskState.SKIPPED}),  # PENDING: next attempt
    TaskState.SUCCEEDED: frozenset(),  # a committed task never runs twice
    TaskState.SKIPPED: frozenset({TaskState.PENDING}),
    TaskState.FAILED: frozenset({TaskState.PENDING}),
    TaskState.CANCELED: frozenset({TaskState.PENDING}),
}


def check_run_move(old: RunState, new: RunState) -> None:
    """Refuses a move that KFP's state machine does not have.

    Raises:
        Conflict: the move is illegal.
    """
    if new not in _RUN_MOVES[old]:
        raise Conflict(f"a run that is {old} cannot become {new}; it can become {_listed(_RUN_MOVES[old])}")


def check_task_move(old: TaskState, new: TaskState) -> None:
    """Refuses an illegal move of a task that has a command of its own. Groups follow their members and are not checked.

    Raises:
        Conflict: the move is illegal.
    """
    if new not in _TASK_MOVES[old]:
        raise Conflict(f"a task that is {old} cannot become {new}; it can become {_listed(_TASK_MOVES[old])}")


def _listed(states: frozenset[RunState] | frozenset[TaskState]) -> str:
    return ", ".join(sorted(states)) or "nothing else"

"""How runs and tasks are told to people: the eight state words, durations and time left. Pure."""

from collections.abc import Iterable, Mapping
from statistics import median

from pipeline.engine.records import Run, Task
from pipeline.engine.states import TASK_ENDED, RunState, TaskState

SHAPES = {
    "waiting": "·",
    "running": "▶",
    "succeeded": "✓",
    "reused": "=",
    "skipped": "–",
    "failed": "✗",
    "stopping": "◼",
    "stopped": "◻",
}
STYLES = {
    "running": "cyan",
    "succeeded": "green",
    "reused": "dim",
    "failed": "bold red",
    "waiting": "dim",
    "skipped": "dim",
}
_TASK_WORDS = {
    TaskState.PENDING: "waiting",
    TaskState.RUNNING: "running",
    TaskState.SUCCEEDED: "succeeded",
    TaskState.SKIPPED: "skipped",
    TaskState.FAILED: "failed",
    TaskState.CANCELED: "stopped",
}
RUN_WORDS = {
    RunState.PENDING: "waiting",
    RunState.RUNNING: "running",
    RunState.CANCELING: "stopping",
    RunState.SUCCEEDED: "succeeded",
    RunState.FAILED: "failed",
    RunState.CANCELED: "stopped",
}


def task_word(task: Task) -> str:
    """One of the eight words, the same everywhere."""
    return "reused" if task.cached and task.state == TaskState.SUCCEEDED else _TASK_WORDS[task.state]


def state_word(state: str) -> str:
    """The word for a state of a run or task as KFP writes it; what is none of KFP's stays, in small letters."""
    known = {str(s): word for s, word in (RUN_WORDS | _TASK_WORDS).items()}
    return known.get(state, state.lower())


def run_word(run: Run) -> str:
    """One of the eight words, the same everywhere."""
    return RUN_WORDS[run.state]


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def progress_share(task: Task) -> float | None:
    """How much of a running task is done, 0 to 1, as far as it said."""
    done, total = task.progress.get("done"), task.progress.get("total")
    if not isinstance(done, int | float) or not isinstance(total, int | float) or not total > 0:
        return None  # a task may say anything
    return max(0.0, min(1.0, done / total))


def seconds_left(tasks: Iterable[Task], typical: Mapping[str, float], now: float) -> float | None:
    """How long a run will still take, or None while nothing is known about some of its tasks.

    Work still to do, divided by the tasks that run at present. A running task is judged by its own progress first, then
    by how long tasks of its name took in this or earlier runs.
    """
    tasks = [task for task in tasks if task.is_leaf]
    known = dict(typical) | _seen_here(tasks)
    left = [_left(task, known, now) for task in tasks if task.state not in TASK_ENDED]
    if any(one is None for one in left):
        return None
    running = sum(task.state == TaskState.RUNNING for task in tasks)
    return sum(one for one in left if one is not None) / max(1, running)


def _seen_here(tasks: Iterable[Task]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {}
    for task in tasks:
        if task.state == TaskState.SUCCEEDED and not task.cached:
            seconds.setdefault(task.name, []).append(task.seconds)
    return {name: median(values) for name, values in seconds.items()}


def _left(task: Task, known: Mapping[str, float], now: float) -> float | None:
    spent = now - task.started if task.state == TaskState.RUNNING else 0.0
    share = progress_share(task)
    if share:
        return spent * (1 - share) / share
    usual = known.get(task.name)
    return None if usual is None else max(1.0, usual - spent)

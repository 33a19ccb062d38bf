"""What lists and pages say of a run: how far it is, what it changed, why it failed. Reads, and decides nothing."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from pipeline import words
from pipeline.engine.reader import Reader
from pipeline.engine.records import Run, Task
from pipeline.engine.states import RUN_ENDED, TASK_ENDED, RunState, TaskState
from pipeline.server import log_view

LINES_OF_CAUSE = 6
LONGEST_VALUE = 32  # characters of a value in a sentence
_STATE = re.compile(rf"\b({'|'.join(sorted({*RunState, *TaskState}))})\b")


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        done: tasks that have ended.
        total: tasks that are known so far; a loop over what another task makes adds its own later.
        running: tasks that run now.
        share: from 0 to 1, running tasks counted by their own progress.
        left_s: seconds it will still take, None while nothing is known about some of its tasks.
    """

    done: int
    total: int
    running: int
    share: float
    left_s: float | None


@dataclass(frozen=True)
class Cause:
    """Why a task failed.

    Attributes:
        task: the task.
        kind: class of the failure, empty when it was not classified.
        cause: in a line.
        fix: what most likely helps; may be empty.
        lines: the end of its log.
    """

    task: Task
    kind: str
    cause: str
    fix: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Change:
    """A parameter whose value differs from that of another run; values as short texts, empty where it has none."""

    name: str
    before: str
    after: str


def word(run: Run) -> str:
    """The run's state as one of the eight words; who was asked to stop is stopping, whoever executes it."""
    return "stopping" if run.stop_requested and run.state not in RUN_ENDED else words.run_word(run)


def recipe_name(run: Run) -> str:
    """What people call the recipe: a file's name without folder and ending."""
    return stem(str(run.labels.get("recipe") or ""))


def seconds(run: Run, now: float) -> float:
    """How long it took, or has taken until now; 0 before it starts."""
    return max(0.0, (run.ended or now) - run.started) if run.started else 0.0


def task_address(task: Task) -> str:
    """Where a task's page is. Keys have slashes and brackets, so they go into the query."""
    return f"/runs/{task.run_id}/task?key={quote(task.key, safe='')}"


def rerun_address(task: Task) -> str:
    """Where a rerun of a task is planned."""
    return f"/runs/{task.run_id}/rerun?key={quote(task.key, safe='')}"


def progress(reader: Reader, tasks: Sequence[Task], now: float) -> Progress:
    """How far the tasks of a run are."""
    leaves = [task for task in tasks if task.is_leaf]
    open_names = {task.name for task in leaves if task.state not in TASK_ENDED}
    usual = {name: seconds for name in sorted(open_names) if (seconds := reader.expected_seconds(name))}
    running = [task for task in leaves if task.state is TaskState.RUNNING]
    done = sum(task.state in TASK_ENDED for task in leaves)
    parts = done + sum(words.progress_share(task) or 0.0 for task in running)
    left = words.seconds_left(leaves, usual, now) if leaves else None
    return Progress(done, len(leaves), len(running), parts / len(leaves) if leaves else 0.0, left)


def overall(states: Sequence[str]) -> str:
    """One of the eight words for several tasks together: what needs attention first."""
    for loud in ("failed", "running", "stopping", "stopped"):
        if loud in states:
            return loud
    if not states or "waiting" in states:
        return "running" if {"succeeded", "reused"} & set(states) else "waiting"
    return next((quiet for quiet in ("skipped", "reused") if set(states) == {quiet}), "succeeded")


def causes(reader: Reader, tasks: Sequence[Task], with_lines: bool = True) -> list[Cause]:
    """Why tasks failed, the first failure first: what failed later often only follows."""
    failed = [task for task in tasks if task.is_leaf and task.state is TaskState.FAILED]
    return [_cause(reader, task, with_lines) for task in sorted(failed, key=lambda task: task.ended)]


def _cause(reader: Reader, task: Task, with_lines: bool) -> Cause:
    attempts = reader.attempts(task.run_id, task.key)
    last = attempts[-1] if attempts else None
    lines = log_view.ending(Path(last.directory) / "log", LINES_OF_CAUSE) if last and with_lines else []
    if last and last.failure:
        return Cause(task, str(last.failure.kind), last.failure.cause, last.failure.fix, lines)
    return Cause(task, "", task.reason or "no reason was recorded", "", lines)


def changes(run: Run, before: Run) -> list[Change]:
    """What differs between the parameters of two runs, sorted by name."""
    names = sorted(set(run.parameters) | set(before.parameters))
    old, new = before.parameters, run.parameters
    return [_change(name, old, new) for name in names if old.get(name) != new.get(name)]


def _change(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    earlier, later = _names(old.get(name)), _names(new.get(name))
    if earlier is not None and later is not None:
        return Change(name, "", _came_and_went(earlier, later))
    before, after = (short(values[name]) if name in values else "" for values in (old, new))
    return Change(name, *(("", "changed inside") if before == after else (before, after)))


def _came_and_went(before: Sequence[str], after: Sequence[str]) -> str:
    signs = [f"+{item}" for item in after if item not in before] + [f"−{item}" for item in before if item not in after]
    return ", ".join(signs) or "changed inside"


def _names(value: Any) -> list[str] | None:
    """Names of the structs of a list; None for any other value."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and item.get("name") for item in value):
        return [str(item["name"]) for item in value]
    return None


def overridden(run: Run) -> list[Change]:
    """What a rerun set for single tasks, by task and input."""
    found = []
    for key, inputs in sorted(run.overrides.items()):
        step = key.rpartition("/")[2]
        found += [Change(f"{step}.{name}", "", short(value)) for name, value in sorted(inputs.items())]
    return found


def short(value: Any) -> str:
    """A parameter's value in a few characters. Of structs in a list, their names."""
    names = _names(value)
    text = value_text(value) if names is None else ", ".join(names)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def can_retry(run: Run, executing: bool) -> bool:
    """Whether `retry` would go on with the run."""
    interrupted = run.state in (RunState.RUNNING, RunState.CANCELING) and not executing
    return run.state in (RunState.FAILED, RunState.CANCELED) or interrupted


def value_text(value: Any) -> str:
    """A parameter's value in full: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def capitalised(text: str) -> str:
    """The same text as a sentence begins."""
    return text[:1].upper() + text[1:]


def in_words(text: str) -> str:
    """A reason of the engine with KFP's states replaced by the words that people read."""
    return _STATE.sub(lambda found: words.state_word(found[0]), text)


def stem(path: str) -> str:
    """A file's name without folder and ending."""
    return PurePosixPath(path).stem


def attribute_title(attribute: str) -> str:
    """An attribute as people read it: without the data set's ending and underscores."""
    return attribute.removesuffix("_labels").replace("_", " ")


FILTERS = {
    "attribute_title": attribute_title,
    "task_address": task_address,
    "rerun_address": rerun_address,
    "value_text": value_text,
    "capitalised": capitalised,
    "in_words": in_words,
    "stem": stem,
}
"""What templates need of this module."""

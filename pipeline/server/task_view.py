"""What the page of a task says: why it failed, why it ran, what it took, where its neighbours are."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import words
from pipeline.engine import graph, ir, irtext
from pipeline.engine.budget import demand_of
from pipeline.engine.reader import Reader
from pipeline.engine.records import Attempt, Run, Task
from pipeline.engine.states import TaskState
from pipeline.errors import NotFound, PipelineError
from pipeline.server import log_view

LINES_OF_CAUSE = 12
MOST_JOB_BYTES = 4 << 20
_REFERENCE = re.compile(r"""\[?"?/[^\s"]*?([0-9a-f]{8})"?\]?(?=$| ->|; | \()""")
_MISS = re.compile(r"^not cached: (?P<what>.*) \(against (?P<label>.+) in run (?P<run>[0-9a-f]{8})\)$", re.DOTALL)


@dataclass(frozen=True)
class Execution:
    """Where a task was really executed: here, or in the run whose outputs it takes over."""

    run_id: str
    key: str
    attempts: Sequence[Attempt]

    def attempt(self, number: int) -> Attempt | None:
        """One attempt; the last one for 0."""
        return next((a for a in reversed(self.attempts) if number in (0, a.number)), None)


@dataclass(frozen=True)
class Cause:
    """Why a task has failed or will not run.

    Attributes:
        kind: class of the failure (`out of memory`, `bug`, ...), empty where nobody classed it.
        text: what happened.
        fix: what most likely helps.
        lines: the last lines of its log that are meant for people.
        because: (label, key) of the failed tasks that kept this one from running.
    """

    kind: str
    text: str
    fix: str = ""
    lines: Sequence[str] = ()
    because: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Why:
    """Why a task ran or was reused.

    Attributes:
        text: in a few words.
        differences: against the nearest earlier execution.
        other: (run id, key, label) of the execution that it took or was compared with; run id empty for none.
        code: identity of the code in the cache key.
    """

    text: str
    differences: Sequence[str] = ()
    other: tuple[str, str, str] = ("", "", "")
    code: str = ""


@dataclass(frozen=True)
class Resources:
    """What a task asked for and took. 0: not asked, or not known."""

    cpu_slots: float = 0.0
    memory_bytes: int = 0
    gpus: int = 0
    timeout_s: float = 0.0
    retries: int = 0
    used_bytes: int = 0
    used_cpu_s: float = 0.0
    took_s: float = 0.0

    @property
    def memory_share(self) -> float | None:
        """Of the memory asked, how much was used."""
        return min(1.0, self.used_bytes / self.memory_bytes) if self.memory_bytes and self.used_bytes else None


@dataclass(frozen=True)
class Neighbours:
    """Other tasks of the run: the one before, the one after, and the same stage of other attributes and models."""

    previous: Task | None
    following: Task | None
    same_stage: Sequence[Task]


def execution(reader: Reader, task: Task) -> Execution:
    """Where the attempts, the log and the curves of a task are found."""
    run_id, key = task.origin if task.cached and task.origin else (task.run_id, task.key)
    return Execution(run_id, key, reader.attempts(run_id, key))


def log_path(attempt: Attempt | None) -> Path:
    """The log of an attempt; a path where nothing lies for a task that was never started."""
    return Path(attempt.directory) / "log" if attempt else Path("/nonexistent/log")


def cause(pipeline: ir.Pipeline, task: Task, ran: Execution, tasks: Sequence[Task]) -> Cause | None:
    """Why the task failed, was stopped or skipped, or is about to be repeated; None when all is well."""
    latest = ran.attempt(0)
    failed_before = latest is not None and latest.state is TaskState.FAILED
    if task.state is TaskState.FAILED or (task.state is TaskState.PENDING and failed_before):
        lines = log_view.ending(log_path(latest), LINES_OF_CAUSE)
        failure = latest.failure if latest else None
        if failure:
            return Cause(str(failure.kind), failure.cause, failure.fix, lines)
        return Cause("", task.reason or (latest.reason if latest else ""), lines=lines)
    if task.state in (TaskState.SKIPPED, TaskState.CANCELED) and task.reason:
        failed = [t for t in tasks if t.is_leaf and t.state is TaskState.FAILED]
        before = [(t.label, t.key) for t in failed if task.key in graph.downstream(pipeline, t.key, [task.key])]
        return Cause("", task.reason, because=before)
    return None


def why(reader: Reader, task: Task) -> Why:
    """Why the task ran or was reused, as the engine noted it."""
    code = str(task.parts.get("code", ""))
    if task.cached and task.origin:
        return Why(task.explanation, other=_other(reader, *task.origin), code=code)
    found = _MISS.match(task.explanation)
    if not found:
        return Why(task.explanation, code=code)
    other = _labelled(reader, found["run"], found["label"])
    return Why(
        "not cached: something differs from the nearest earlier execution", found["what"].split("; "), other, code
    )


def shortened(difference: str) -> str:
    """A difference in which references are told by the end of their digests: their folders are the same anyway."""
    return _REFERENCE.sub(r"…\1", difference)


def _other(reader: Reader, run_id: str, key: str) -> tuple[str, str, str]:
    task = reader.task_at(run_id, key)
    return (run_id, key, task.label) if task else ("", "", key)


def _labelled(reader: Reader, short_id: str, label: str) -> tuple[str, str, str]:
    try:
        task = reader.task(reader.run(short_id).run_id, label)
    except NotFound:
        return "", "", label
    return task.run_id, task.key, task.label


def resources(pipeline: ir.Pipeline, task: Task, attempt: Attempt | None) -> Resources:
    """Asked, from the pipeline; taken, from the attempt."""
    usage = attempt.usage if attempt else {}
    taken = Resources(
        used_bytes=int(usage.get("max_rss_bytes", 0)),
        used_cpu_s=float(usage.get("cpu_s", 0.0)),
        took_s=attempt.seconds(attempt.ended) if attempt and attempt.ended else 0.0,
    )
    definition, component = graph.component_of_key(pipeline, task.key)
    container = pipeline.executors.get(component.executor)
    if not isinstance(container, ir.Container):
        return taken
    taken = replace(taken, retries=definition.retry.limit, timeout_s=container.timeout_s)
    try:
        demand = demand_of(container.resources, task.inputs.parameters)
    except PipelineError:  # the resources name an input whose value is not known yet
        return taken
    return replace(taken, cpu_slots=demand.cpu_slots, memory_bytes=demand.memory_bytes, gpus=demand.gpus)


def pipeline_of(reader: Reader, run: Run) -> ir.Pipeline:
    """What the run executes."""
    return irtext.read(reader.pipeline_text(run.run_id))


def by_hand(attempt: Attempt | None) -> str:
    """The command that the attempt ran, for a shell; empty when it is not known."""
    if attempt is None:
        return ""
    job = Path(attempt.directory) / "job.json"
    try:
        body: dict[str, Any] = json.loads(job.read_text(encoding="utf-8")) if _is_small_file(job) else {}
    except (OSError, ValueError):
        return ""
    return shlex.join(str(word) for word in body.get("command", []))


def _is_small_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= MOST_JOB_BYTES


def neighbours(task: Task, tasks: Sequence[Task]) -> Neighbours:
    """The tasks before and after in the run's order, and the same stage elsewhere."""
    leaves = [t for t in tasks if t.is_leaf]
    at = next(i for i, t in enumerate(leaves) if t.key == task.key)
    same = [t for t in leaves if t.name == task.name and t.component == task.component]
    return Neighbours(
        previous=leaves[at - 1] if at else None,
        following=leaves[at + 1] if at + 1 < len(leaves) else None,
        same_stage=same if len(same) > 1 else [],
    )


def seconds_left(reader: Reader, task: Task, now: float) -> float | None:
    """How long a running task will still take."""
    usual = reader.expected_seconds(task.name, task.label)
    return words.seconds_left([task], {task.name: usual} if usual else {}, now)

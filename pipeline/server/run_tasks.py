"""Tasks of a run as bars on one time scale, and what they cost."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import words
from pipeline.engine import irtext, spending
from pipeline.engine.reader import Reader
from pipeline.engine.records import Attempt, Run, Task
from pipeline.engine.spending import Prices, Spent

PAGE = 200


@dataclass(frozen=True)
class Wanted:
    """Which tasks a table shows: state word, name, part of the label; empty lets everything through."""

    state: str = ""
    name: str = ""
    text: str = ""

    def admits(self, task: Task) -> bool:
        """Whether the table shows it."""
        if self.state and words.task_word(task) != self.state:
            return False
        if self.name and task.name != self.name:
            return False
        return self.text.lower() in task.label.lower()


@dataclass(frozen=True)
class Bar:
    """A task and where it lies on the run's time scale; `begin` and `length` in per cent, length 0: it did not run."""

    task: Task
    begin: float
    length: float
    why: str


def bars(run: Run, tasks: Sequence[Task], wanted: Wanted, now: float) -> list[Bar]:
    """The tasks that are wanted, in the order of the pipeline, each on the scale from the run's start to its end."""
    span = max(1e-3, (run.ended or now) - run.started) if run.started else 1.0
    return [_bar(task, run.started, span, now) for task in tasks if task.is_leaf and wanted.admits(task)]


def _bar(task: Task, start: float, span: float, now: float) -> Bar:
    why = task.reason or task.note or task.explanation
    if not task.started or task.cached:
        return Bar(task, 0.0, 0.0, why)
    begin = min(100.0, max(0.0, 100 * (task.started - start) / span))
    length = 100 * ((task.ended or now) - task.started) / span
    return Bar(task, begin, min(100.0 - begin, max(0.3, length)), why)


@dataclass(frozen=True)
class Cost:
    """What a step took, over all its tasks and their attempts.

    Attributes:
        step: the task's name; empty for the whole run.
        tasks: how many there are.
        ran: how many ran here.
        reused: how many took the result of an earlier execution.
        seconds: time of all attempts, one after the other.
        cpu_s: CPU time, as far as it was measured.
        gpu_s: GPUs asked for times the time they were held.
        peak_bytes: most memory of one attempt.
        saved_s: how long the reused ones had taken.
        money: by the prices that the run was made with; 0 where there are none.
    """

    step: str
    tasks: int = 0
    ran: int = 0
    reused: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    gpu_s: float = 0.0
    peak_bytes: int = 0
    saved_s: float = 0.0
    money: float = 0.0


def costs(reader: Reader, run: Run, tasks: Sequence[Task], attempts: Sequence[Attempt], now: float) -> list[Cost]:
    """Cost of each step in the order of the pipeline.

    Args:
        reader: knows the executions that were reused.
        run: the run.
        tasks: of the run.
        attempts: of the run.
        now: running attempts are counted until now.
    """
    tried: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        tried[attempt.key].append(attempt)
    steps: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        if task.is_leaf:
            steps[task.name].append(task)
    pipeline = irtext.read(reader.pipeline_text(run.run_id))
    prices = spending.prices_of(run)
    found = []
    for members in steps.values():
        spent = [spending.of_task(pipeline, task, tried.get(task.key, ()), now) for task in members]
        found.append(_cost(reader, members, spent, prices))
    return found


def _cost(reader: Reader, members: Sequence[Task], spent: Sequence[Spent], prices: Prices) -> Cost:
    """What the tasks of a step have cost together."""
    reused = [task for task in members if task.cached]
    return Cost(
        step=members[0].name,
        tasks=len(members),
        ran=sum(one.attempts > 0 for one in spent),
        reused=len(reused),
        seconds=sum(one.seconds for one in spent),
        cpu_s=sum(one.used_cpu_s for one in spent),
        gpu_s=sum(one.gpu_s for one in spent),
        peak_bytes=max(one.peak_bytes for one in spent),
        saved_s=sum(_original_seconds(reader, task) for task in reused),
        money=sum(map(prices.of, spent)),
    )


def _original_seconds(reader: Reader, task: Task) -> float:
    original = reader.task_at(*task.origin) if task.origin else None
    return original.seconds if original else 0.0


def total(costs_of_steps: Sequence[Cost]) -> Cost:
    """Cost of the whole run."""
    summed = {
        name: sum(getattr(cost, name) for cost in costs_of_steps)
        for name in ("tasks", "ran", "reused", "seconds", "cpu_s", "gpu_s", "saved_s", "money")
    }
    return Cost(step="", peak_bytes=max((cost.peak_bytes for cost in costs_of_steps), default=0), **summed)

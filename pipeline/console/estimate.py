"""What a run will take: how long its tasks took before, how many there are, and how many fit on the machine at once.

Deliberately simple, and said so: the longest chain of tasks, or all work divided by what the machine has, whichever is
longer. Training is scaled with the number of epochs; other changes of settings are not known here.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipeline.console.outline import Planned
from pipeline.engine.budget import Budget
from pipeline.engine.reader import HISTORY
from pipeline.engine.records import Task
from pipeline.engine.store import Store
from pipeline.server.domain.recipes import Estimate, StageCost

LOOKED_AT = 60  # newest executions of a task that are looked through
GIB = 1024**3


@dataclass(frozen=True)
class Known:
    """What history says of one task: typical seconds, and how many executions in which runs say so."""

    seconds: float | None = None
    executions: int = 0
    runs: frozenset[str] = frozenset()


def of_tasks(
    store: Store, planned: Sequence[Planned], own_runs: frozenset[str], reused: frozenset[str], budget: Budget
) -> Estimate:
    """The estimate.

    Args:
        store: history.
        planned: the tasks.
        own_runs: runs of the same recipe or pipeline; others do not count.
        reused: places whose results are likely known.
        budget: of the machine.
    """
    known = {one.place: history(store, one, own_runs) for one in planned}
    fresh = [one for one in planned if one.place not in reused]
    stages = [_stage(one, known[one.place], one.place in reused) for one in planned]
    gpu_seconds = [_gpu_seconds(one, known[one.place]) for one in fresh if one.demand.gpus]
    return Estimate(
        stages=_merged(stages),
        tasks=sum(one.count for one in planned),
        unknown=sum(one.count for one in planned if known[one.place].seconds is None),
        seconds=longest(planned, known, budget),
        seconds_fresh=longest(fresh, known, budget) if reused else None,
        reused=sum(one.count for one in planned if one.place in reused),
        gpu_hours=None if None in gpu_seconds else sum(s for s in gpu_seconds if s is not None) / 3600,
        basis=_basis(known, planned),
        fit=fit(planned, budget),
    )


def history(store: Store, planned: Planned, own_runs: frozenset[str]) -> Known:
    """How long a task takes: the median of its last executions in runs of the same recipe or pipeline.

    Other recipes do not count: the demo's minutes say nothing about days on full-size photographs.
    """
    found = [t for t in store.executions_named(planned.name, LOOKED_AT) if t.seconds and t.run_id in own_runs]
    chosen = found[: HISTORY * 2]
    if not chosen:
        return Known()
    seconds = statistics.median(_scaled(task, planned.epochs) for task in chosen)
    return Known(seconds, len(chosen), frozenset(task.run_id for task in chosen))


def _scaled(task: Task, epochs: int) -> float:
    then = task.inputs.parameters.get("epochs")
    return task.seconds * epochs / then if epochs and isinstance(then, int | float) and then > 0 else task.seconds


def longest(planned: Sequence[Planned], known: Mapping[str, Known], budget: Budget) -> float | None:
    """Seconds of the whole: the longest chain, or all work over what the machine has. None where nothing is known."""
    seconds = {one.place: known[one.place].seconds for one in planned}
    if not any(value is not None for value in seconds.values()):
        return None if planned else 0.0
    ends: dict[str, float] = {}
    for one in planned:  # each after those it waits for
        ends[one.place] = max((ends.get(p, 0.0) for p in one.after), default=0.0) + (seconds[one.place] or 0.0)
    work = sum(one.count * _slots(one, budget) * (seconds[one.place] or 0.0) for one in planned)
    on_gpus = sum(one.count * one.demand.gpus * (seconds[one.place] or 0.0) for one in planned)
    return max(*ends.values(), work / budget.cpu_slots, on_gpus / budget.gpus if budget.gpus else 0.0)


def _slots(planned: Planned, budget: Budget) -> float:
    """Of the machine's CPU; what asks for more than there is runs alone."""
    return min(planned.demand.cpu_slots, budget.cpu_slots)


def _gpu_seconds(planned: Planned, known: Known) -> float | None:
    return None if known.seconds is None else planned.count * planned.demand.gpus * known.seconds


def fit(planned: Sequence[Planned], budget: Budget) -> list[tuple[bool, str]]:
    """Whether the largest asks fit on this machine, one line each."""
    largest = max(planned, key=lambda one: one.demand.memory_bytes, default=None)
    hungriest = max(planned, key=lambda one: one.demand.cpu_slots, default=None)
    accelerated = max(planned, key=lambda one: one.demand.gpus, default=None)
    lines = []
    if largest and largest.demand.memory_bytes:
        asked = f"{largest.name} asks {_gib(largest.demand.memory_bytes)}, this machine has {_gib(budget.memory_bytes)}"
        fits = largest.demand.memory_bytes <= budget.memory_bytes
        lines.append((fits, asked + ("" if fits else "; it runs alone and may be killed")))
    if hungriest and hungriest.demand.cpu_slots:
        asked = f"{hungriest.name} asks {hungriest.demand.cpu_slots:g} CPU of {budget.cpu_slots:g}"
        fits = hungriest.demand.cpu_slots <= budget.cpu_slots
        lines.append((fits, asked + ("" if fits else "; it runs alone and takes longer")))
    if accelerated and accelerated.demand.gpus:
        asked = f"{accelerated.name} asks {accelerated.demand.gpus} GPU, this machine has {budget.gpus or 'none'}"
        fits = accelerated.demand.gpus <= budget.gpus
        lines.append((fits, asked + ("" if fits else "; it runs on what there is, and takes much longer")))
    return lines


def _gib(count: int) -> str:
    return f"{count / GIB:.3g} GiB"


def _stage(planned: Planned, known: Known, reused: bool) -> StageCost:
    demand = planned.demand
    return StageCost(
        planned.name,
        planned.count,
        known.seconds,
        known.executions,
        demand.cpu_slots,
        demand.memory_bytes,
        demand.gpus,
        reused,
    )


def _merged(stages: Sequence[StageCost]) -> list[StageCost]:
    """Neighbours that differ in nothing but their number as one row."""
    rows = []
    for _, same in groupby(stages, key=lambda s: (s.name, s.seconds, s.cpu_slots, s.memory_bytes, s.gpus, s.reused)):
        listed = list(same)
        whole = listed[0].__dict__ | {"count": sum(one.count for one in listed)}
        rows.append(StageCost(**whole))
    return rows


def _basis(known: Mapping[str, Known], planned: Sequence[Planned]) -> str:
    runs = frozenset[str]().union(*(one.runs for one in known.values()))
    if not runs:
        return "Nothing is known: no run of it has finished a task here"
    where = "earlier run" if len(runs) == 1 else "earlier runs"
    scaled = "; training scaled with its epochs" if any(one.epochs for one in planned) else ""
    uncounted = (
        "; loops whose length only the run will know count once" if not all(one.is_counted for one in planned) else ""
    )
    return f"From {len(runs)} {where}: the median time of each task{scaled}{uncounted}"

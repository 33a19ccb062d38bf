"""What a run has spent: hours of CPUs and GPUs, task by task, and whether that is more than it may.

Counted is what a task asks for, times how long each of its attempts held it, used or not: that is what a cluster is
paid for. What an attempt spends in a cluster's queue costs nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.engine import ir, irtext
from pipeline.engine.budget import Demand, demand_of
from pipeline.engine.database import to_json
from pipeline.engine.reader import Reader
from pipeline.engine.records import Attempt, Run, Task
from pipeline.engine.store import Store
from pipeline.errors import PipelineError

GPU_HOURS = "gpu_hours_budget"
"""The parameter of a pipeline that is its run's budget in GPU hours; 0, or none, for no limit."""
NO_GPU = "no GPU on this machine: runs on the CPU"
"""The note of a task that asked for GPUs and got none; it costs none."""
PRICES = "prices"
"""The label of a run that says what an hour costs: `gpu_hour`, `cpu_hour`, `currency`."""
HOUR_S = 3600.0


@dataclass(frozen=True)
class Spent:
    """What one task has spent.

    Attributes:
        key, label, step: of the task; the step is its name without the loops around it.
        attempts: how often its command was started.
        seconds: time of all attempts, one after the other.
        cpu_s: CPU cores asked for, times seconds.
        gpu_s: GPUs held, times seconds.
        used_cpu_s: CPU time of all attempts that has been measured; 0 where none has.
        peak_bytes: most memory of one process of one attempt; 0 where it is not known.
    """

    key: str
    label: str
    step: str
    attempts: int
    seconds: float
    cpu_s: float
    gpu_s: float
    used_cpu_s: float = 0.0
    peak_bytes: int = 0


def of_run(reader: Reader, run_id: str, now: float) -> list[Spent]:
    """What each task of a run that was ever started has spent; what runs is counted until now."""
    pipeline = irtext.read(reader.pipeline_text(run_id))
    started = [task for task in reader.tasks(run_id) if task.is_leaf and task.attempts]
    return [of_task(pipeline, task, reader.attempts(run_id, task.key), now) for task in started]


def of_task(pipeline: ir.Pipeline, task: Task, attempts: Sequence[Attempt], now: float) -> Spent:
    """What one task has spent on these attempts."""
    asked = demand(pipeline, task)
    seconds = sum(attempt.seconds(now) for attempt in attempts)
    cpu_s, gpu_s = asked.cpu_slots * seconds, asked.gpus * seconds
    used_cpu_s = sum(float(attempt.usage.get("cpu_s", 0.0)) for attempt in attempts)
    peak_bytes = max((int(attempt.usage.get("max_rss_bytes", 0)) for attempt in attempts), default=0)
    return Spent(task.key, task.label, task.name, len(attempts), seconds, cpu_s, gpu_s, used_cpu_s, peak_bytes)


def demand(pipeline: ir.Pipeline, task: Task) -> Demand:
    """What a task takes of the machine while it runs; no GPU where it got none."""
    executor = pipeline.executors.get(pipeline.components[task.component].executor)
    if not isinstance(executor, ir.Container):
        return Demand(0.0)
    try:
        asked = demand_of(executor.resources, task.inputs.parameters)
    except PipelineError:  # it never got so far as to know its inputs
        return Demand(0.0)
    return Demand(asked.cpu_slots, asked.memory_bytes) if task.note == NO_GPU else asked


def gpu_hours(spent: Sequence[Spent]) -> float:
    """GPU hours of all tasks together."""
    return sum(one.gpu_s for one in spent) / HOUR_S


@dataclass(frozen=True)
class Prices:
    """What an hour costs; 0 where it is not known."""

    gpu_hour: float = 0.0
    cpu_hour: float = 0.0
    currency: str = ""

    def __bool__(self) -> bool:
        return bool(self.gpu_hour or self.cpu_hour)

    def of(self, one: Spent) -> float:
        """Price of a task: of its GPUs where it has any, which bring their machine along, else of its CPUs."""
        of_cpus = 0.0 if one.gpu_s else one.cpu_s * self.cpu_hour
        return (one.gpu_s * self.gpu_hour + of_cpus) / HOUR_S


def prices_of(run: Run) -> Prices:
    """The prices that a run was made with."""
    kept = run.labels.get(PRICES)
    if not isinstance(kept, dict):
        return Prices()
    hourly = (kept.get("gpu_hour"), kept.get("cpu_hour"))
    gpu, cpu = (float(price) if isinstance(price, int | float) else 0.0 for price in hourly)
    return Prices(gpu, cpu, str(kept.get("currency", "")))


def limit(parameters: Mapping[str, Any]) -> float:
    """The budget of a run in GPU hours; 0 for none."""
    given = parameters.get(GPU_HOURS)
    return float(given) if isinstance(given, int | float) and given > 0 else 0.0


def overspent(reader: Reader, run: Run, now: float) -> str:
    """Why a run may spend no more, in words; empty while it may."""
    allowed = limit(run.parameters)
    spent = gpu_hours(of_run(reader, run.run_id, now)) if allowed else 0.0
    return f"{spent:.4g} of {allowed:g} GPU hours are spent" if allowed and spent >= allowed else ""


def change_limit(store: Store, run: Run, hours: float, now: float) -> Run:
    """Gives a run another budget, what is spent included. No task reads it, so nothing else changes.

    Raises:
        PipelineError: no number of hours, or the pipeline of the run has no budget.
    """
    if not math.isfinite(hours) or hours < 0:  # neither JSON nor a limit
        raise PipelineError(f"a budget of {hours:g} GPU hours is none; give a number from 0 up, 0 for no limit")
    if GPU_HOURS not in run.parameters:
        raise PipelineError(f"run {run.run_id[:8]} can have no budget of GPU hours: its pipeline has no {GPU_HOURS}")
    with store.database.writing() as journal:
        columns = {"parameters_json": to_json({**run.parameters, GPU_HOURS: hours})}
        store.database.update("runs", columns, {"run_id": run.run_id})
        journal(now, run.run_id, "", "budget", {GPU_HOURS: hours})
    return store.run(run.run_id)

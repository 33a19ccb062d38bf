"""How much runs at once: CPU slots, memory and GPUs of the machine, and what each task takes of them."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.placeholders import fill_constant
from pipeline.engine.values import ValueProblem
from pipeline.errors import PipelineError

_MEMINFO = Path("/proc/meminfo")
_QUANTITY = re.compile(r"^([0-9.]+)([A-Za-z]*)$")
_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_UNITS |= {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}


@dataclass(frozen=True)
class Demand:
    """What a task takes while it runs. `memory_bytes` 0: not known, so not counted."""

    cpu_slots: float = 1.0
    memory_bytes: int = 0
    gpus: int = 0


@dataclass(frozen=True)
class Budget:
    """What the machine has.

    Attributes:
        cpu_slots: how many single-core tasks run at once.
        memory_bytes: the sum of memory limits at once.
        gpus: visible GPUs; each is lent to one task at a time.
        at_once: where a cluster schedules, the most tasks at once, and nothing of this machine counts; else 0.
    """

    cpu_slots: float
    memory_bytes: int
    gpus: int = 0
    at_once: int = 0

    @staticmethod
    def of_machine() -> "Budget":
        """All of this machine: CPUs that this process may use, physical memory, NVIDIA devices that are visible."""
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return Budget(float(usable or 1), _physical_memory(), _visible_gpus())

    @staticmethod
    def of_cluster(at_once: int) -> "Budget":
        """Nothing of this machine: a cluster finds CPUs, memory and GPUs for so many tasks at once."""
        return Budget(0.0, 0, at_once=at_once)


def _physical_memory() -> int:
    if _MEMINFO.exists():
        return int(_MEMINFO.read_text().split()[1]) * 1024  # first line: "MemTotal: N kB"
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _visible_gpus() -> int:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([d for d in chosen.split(",") if d.strip() not in ("", "-1")])
    return len([d for d in Path("/dev").glob("nvidia*") if d.name.removeprefix("nvidia").isdigit()])


def demand_of(resources: Mapping[str, Any], parameters: Mapping[str, Any]) -> Demand:
    """Reads KFP's resource table of an executor.

    Args:
        resources: as in the IR; newer keys (`resourceCpuLimit: "2"`) beat older ones (`cpuLimit: 2.0`).
        parameters: inputs of the task, which the table may name.

    Raises:
        PipelineError: a quantity that cannot be read.
    """

    accelerator = resources.get("accelerator") or {}
    count = _filled(accelerator.get("resourceCount", accelerator.get("count", 0)), parameters)
    memory = _told(resources, parameters, "resourceMemoryRequest", "resourceMemoryLimit")
    if memory is None:
        memory = _gigabytes(resources, "memoryRequest", "memoryLimit")
    cpu = _told(resources, parameters, "resourceCpuRequest", "cpuRequest", "resourceCpuLimit", "cpuLimit")
    return Demand(1.0 if cpu is None else cpu, int(memory), int(quantity(str(count))))


def memory_limit_of(resources: Mapping[str, Any], parameters: Mapping[str, Any]) -> int:
    """Bytes above which a cluster would end the task; 0 where nothing is said. A request is no limit.

    Raises:
        PipelineError: as `demand_of`.
    """
    told = _told(resources, parameters, "resourceMemoryLimit")
    return int(_gigabytes(resources, "memoryLimit") if told is None else told)


def cpu_limit_of(resources: Mapping[str, Any], parameters: Mapping[str, Any]) -> float:
    """Cores that a cluster would let the task use; 0 where nothing is said. A request is no limit.

    Raises:
        PipelineError: as `demand_of`.
    """
    return _told(resources, parameters, "resourceCpuLimit", "cpuLimit") or 0.0


def _told(resources: Mapping[str, Any], parameters: Mapping[str, Any], *names: str) -> float | None:
    value = next((resources[n] for n in names if resources.get(n)), None)
    return None if value is None else quantity(str(_filled(value, parameters)))


def _gigabytes(resources: Mapping[str, Any], *names: str) -> float:
    """The older keys count gigabytes."""
    return 1e9 * float(next((resources[n] for n in names if resources.get(n)), 0))


def _filled(value: Any, parameters: Mapping[str, Any]) -> Any:
    try:
        return fill_constant(value, parameters, {})
    except ValueProblem as error:
        raise PipelineError(f"a resource of the task is {value!r}: {error}") from error


def quantity(text: str) -> float:
    """A Kubernetes quantity: `500m`, `2`, `8Gi`, `1.5G`.

    Raises:
        PipelineError: not one.
    """
    match = _QUANTITY.match(text.strip())
    if match is None or match[2] not in _UNITS:
        raise PipelineError(
            f"resource quantity {text!r} is none; expected a number with m, k, M, G, T, Ki, Mi, Gi or Ti"
        )
    return float(match[1]) * _UNITS[match[2]]

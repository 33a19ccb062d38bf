"""Who holds what of the machine, over all runs that are executed at once."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.engine.budget import Budget, Demand

Holder = tuple[str, str]
"""Run id and task key."""
MAX_OVERTAKEN = 16
"""How many may pass the one that has waited longest; then nobody else starts until there is room for it."""


@dataclass(frozen=True)
class Held:
    """What one task holds.

    Attributes:
        demand: its share.
        gpus: indices of the GPUs lent to it.
        alone: nothing may run beside it.
        work: its cache key, empty when it has none.
    """

    demand: Demand
    gpus: tuple[int, ...] = ()
    alone: bool = False
    work: str = ""


class Ledger:
    """Lends room. What exceeds the whole budget runs alone, rather than never.

    Attributes:
        budget: the whole.
        released: grows whenever something was given back, so that whoever waits knows when to ask again.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.released = 0
        self._held: dict[Holder, Held] = {}
        self._in_company: set[Holder] = set()
        self._waiting: dict[Holder, Demand] = {}
        self._overtaken: dict[Holder, int] = {}

    def take(self, holder: Holder, demand: Demand, alone: bool = False, work: str = "") -> tuple[int, ...] | None:
        """Reserves room.

        Returns:
            Indices of the GPUs lent, empty for none (also when the machine has none); None when it has to wait.
        """
        return self.hold(holder, demand, alone, work) if self.has_room(holder, demand, alone) else None

    def has_room(self, holder: Holder, demand: Demand, alone: bool = False) -> bool:
        """Whether `take` would succeed."""
        return not self._gives_way(holder) and (not self._held or self._fits(demand, alone))

    def hold(self, holder: Holder, demand: Demand, alone: bool = False, work: str = "") -> tuple[int, ...]:
        """Reserves without asking whether it fits: for a task that an earlier engine started and that still runs."""
        lent = self._free_gpus()[: demand.gpus]
        self._held[holder] = Held(demand, lent, alone, work)
        if len(self._held) > 1:
            self._in_company.update(self._held)
        self._pass(holder)
        return lent

    def give_back(self, holder: Holder) -> None:
        """Frees what a task holds, if anything."""
        if self._held.pop(holder, None):
            self.released += 1
            self._in_company.discard(holder)

    def wait(self, run_id: str, demands: Mapping[str, Demand]) -> None:
        """Says which tasks of a run wait for room now, by key, in place of those it named before."""
        for holder in [h for h in self._waiting if h[0] == run_id and h[1] not in demands]:
            self._leave(holder)
        for key, demand in demands.items():
            self._waiting.setdefault((run_id, key), demand)

    def gpus_of(self, holder: Holder) -> tuple[int, ...]:
        """The GPUs of this machine that a task has."""
        return self._held[holder].gpus if holder in self._held else ()

    def is_on_gpu(self, holder: Holder) -> bool:
        """Whether a task has a GPU to itself, here or where the cluster has put it."""
        held = self._held.get(holder)
        return held is not None and bool(held.gpus or (self.budget.at_once and held.demand.gpus))

    def had_company(self, holder: Holder) -> bool:
        """Whether anything on this machine ran beside a task that still holds its room."""
        return holder in self._in_company and not self.budget.at_once

    def is_being_done(self, work: str) -> bool:
        """Whether a running task has this cache key."""
        return bool(work) and any(held.work == work for held in self._held.values())

    def _fits(self, demand: Demand, alone: bool) -> bool:
        held = self._held.values()
        if self.budget.at_once:
            return len(held) < self.budget.at_once
        if alone or any(h.alone for h in held):
            return False
        cpu = sum(h.demand.cpu_slots for h in held) + demand.cpu_slots <= self.budget.cpu_slots
        memory = sum(h.demand.memory_bytes for h in held) + demand.memory_bytes <= self.budget.memory_bytes
        return cpu and memory and min(demand.gpus, self.budget.gpus) <= len(self._free_gpus())

    def _free_gpus(self) -> tuple[int, ...]:
        lent = {gpu for held in self._held.values() for gpu in held.gpus}
        return tuple(gpu for gpu in range(self.budget.gpus) if gpu not in lent)

    def _gives_way(self, holder: Holder) -> bool:
        """Nobody waits for ever behind a stream of smaller tasks."""
        eldest = self._eldest()
        return eldest is not None and eldest != holder and self._overtaken.get(eldest, 0) >= MAX_OVERTAKEN

    def _eldest(self) -> Holder | None:
        """Who has waited longest for CPUs or memory; who waits for a GPU is not delayed by tasks that need none."""
        free = len(self._free_gpus())
        return next((h for h, d in self._waiting.items() if min(d.gpus, self.budget.gpus) <= free), None)

    def _pass(self, holder: Holder) -> None:
        """Counts how often the one that has waited longest was passed."""
        self._leave(holder)
        eldest = self._eldest()
        if eldest:
            self._overtaken[eldest] = self._overtaken.get(eldest, 0) + 1

    def _leave(self, holder: Holder) -> None:
        self._waiting.pop(holder, None)
        self._overtaken.pop(holder, None)

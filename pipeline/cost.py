"""What a run has cost: hours of GPUs and CPUs of each task, and money by the recipe's prices."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from components import knobs
from pipeline import recipe_tables, words
from pipeline.engine import spending
from pipeline.engine.reader import Reader
from pipeline.engine.records import Run
from pipeline.engine.spending import HOUR_S, PRICES, Prices, Spent


@dataclass(frozen=True)
class Report:
    """The cost of a run: what its tasks have spent, and what an hour costs."""

    run_id: str
    spent: Sequence[Spent]
    prices: Prices
    limit: float

    def table(self) -> Table:
        """One line a task."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        money = [self.prices.currency] if self.prices else []
        numbers = ["attempts", "hours", "GPU hours", "CPU hours", *money, "CPU used", "memory"]
        table.add_column("task", overflow="fold")
        for name in numbers:
            table.add_column(name, justify="right")
        for one in self.spent:
            money = [f"{self.prices.of(one):.2f}"] if self.prices else []
            used = words.duration(one.used_cpu_s) if one.used_cpu_s else "–"
            hours = _hours(one.seconds, one.gpu_s, one.cpu_s)
            table.add_row(one.label, str(one.attempts), *hours, *money, used, _memory(one.peak_bytes))
        return table

    def total(self) -> Text:
        """All tasks together, in a line."""
        gpu, cpu = _hours(sum(one.gpu_s for one in self.spent), sum(one.cpu_s for one in self.spent))
        of = f" of {self.limit:g}" if self.limit else ""
        money = f", {sum(map(self.prices.of, self.spent)):.2f} {self.prices.currency}" if self.prices else ""
        unpriced = "" if self.prices else " (no prices: see [prices] of the recipe)"
        return Text(f"in all {gpu}{of} GPU hours, {cpu} CPU hours{money}{unpriced}")

    def as_json(self) -> dict[str, Any]:
        """For machines; hours are not rounded, money is null where the recipe has no prices, used what is not known."""
        return {
            "run_id": self.run_id,
            "gpu_hours": spending.gpu_hours(self.spent),
            "gpu_hours_budget": self.limit or None,
            "cpu_hours": sum(one.cpu_s for one in self.spent) / HOUR_S,
            "money": sum(map(self.prices.of, self.spent)) if self.prices else None,
            "prices": asdict(self.prices),
            "tasks": [self._task(one) for one in self.spent],
        }

    def _task(self, one: Spent) -> dict[str, Any]:
        hours = {"hours": one.seconds / HOUR_S, "gpu_hours": one.gpu_s / HOUR_S, "cpu_hours": one.cpu_s / HOUR_S}
        used = {"used_cpu_hours": one.used_cpu_s / HOUR_S or None, "peak_memory_bytes": one.peak_bytes or None}
        money = self.prices.of(one) if self.prices else None
        return {"key": one.key, "label": one.label, "attempts": one.attempts, **hours, "money": money, **used}


def of_run(reader: Reader, run: Run) -> Report:
    """The cost of a run; what runs is counted until now."""
    spent = spending.of_run(reader, run.run_id, time.time())
    return Report(run.run_id, spent, spending.prices_of(run), spending.limit(run.parameters))


def label(prices: recipe_tables.Prices) -> Mapping[str, Any]:
    """What a new run remembers of its recipe's prices; nothing where there are none."""
    return {PRICES: knobs.as_mapping(prices)} if prices.gpu_hour or prices.cpu_hour else {}


def _hours(*seconds: float) -> list[str]:
    return [f"{value / HOUR_S:.3f}" if value else "–" for value in seconds]


def _memory(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size else "–"

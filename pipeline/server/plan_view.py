"""A plan of a rerun or retry in numbers and words, before it is done."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.engine.rerun import REUSE, RUN, SKIP, Plan, PlanRow

_HALF_HOUR = 1800.0


@dataclass(frozen=True)
class PlanShown:
    """A plan as a page shows it.

    Attributes:
        rows: what runs first, then what is skipped, then what is reused.
        run, reuse, skip: how many tasks.
        seconds: of what runs, one after the other, as far as it is known.
        unknown: how many of the tasks that run never ran before.
    """

    rows: Sequence[PlanRow]
    run: int
    reuse: int
    skip: int
    seconds: float
    unknown: int

    @property
    def headline(self) -> str:
        """`Run 4 tasks, reuse 38 (about 3 min)`: what the button says."""
        parts = [f"run {self.run} task" + ("" if self.run == 1 else "s") if self.run else "run nothing"]
        parts += [f"reuse {self.reuse}"] if self.reuse else []
        parts += [f"skip {self.skip}"] if self.skip else []
        text = ", ".join(parts) + self.about
        return text[0].upper() + text[1:]

    @property
    def about(self) -> str:
        """` (about 3 min)`, as far as history tells."""
        if not self.run or not self.seconds:
            return ""
        return f" ({'at least' if self.unknown else 'about'} {rough(self.seconds)})"


def shown(plan: Plan) -> PlanShown:
    """Counts a plan and puts what happens before what does not."""
    order = {RUN: 0, SKIP: 1, REUSE: 2}
    rows = sorted(plan.rows, key=lambda row: order[row.action])
    counts = Counter(row.action for row in rows)
    unknown = sum(row.action == RUN and row.seconds is None for row in rows)
    return PlanShown(rows, counts[RUN], counts[REUSE], counts[SKIP], plan.seconds, unknown)


def rough(seconds: float) -> str:
    """An estimate without false precision: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 55:
        return f"{max(1, round(seconds, -1 if seconds > 20 else 0)):.0f} s"
    return f"{round(seconds / 60)} min" if seconds < 3 * _HALF_HOUR else f"{seconds / 3600:.1f} h"

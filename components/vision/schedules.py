"""Learning rates as pure functions of the step: the same step has the same rate, so a resumed training agrees."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

KINDS = ("cosine", "steps", "constant")


@dataclass(frozen=True)
class Schedule:
    """How the learning rate moves over one training.

    Attributes:
        kind: `cosine` (to final_share), `steps` (times decay_factor at each of decay_at) or `constant`.
        peak: highest rate, after the warm-up.
        warmup: steps of linear rise from peak / warmup.
        total: steps the schedule spans; later steps keep its end.
        final_share: cosine's end as a share of peak.
        decay_at: shares of the way after the warm-up at which `steps` decays, ascending.
        decay_factor: what `steps` multiplies by.
    """

    kind: str
    peak: float
    total: int
    warmup: int = 0
    final_share: float = 0.0
    decay_at: Sequence[float] = (0.5, 0.75)
    decay_factor: float = 0.1

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        way = min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))
        return self.peak * _SHAPES[self.kind](self, way)


def _cosine(schedule: Schedule, way: float) -> float:
    return schedule.final_share + (1 - schedule.final_share) * (1 + math.cos(math.pi * way)) / 2


def _steps(schedule: Schedule, way: float) -> float:
    return schedule.decay_factor ** sum(way >= at for at in schedule.decay_at)


def _constant(schedule: Schedule, way: float) -> float:
    return 1.0


_SHAPES: dict[str, Callable[[Schedule, float], float]] = {"cosine": _cosine, "steps": _steps, "constant": _constant}

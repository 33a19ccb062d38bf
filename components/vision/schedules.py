"""Learning rates as pure functions of the step: the same step has the same rate, so a resumed training agrees."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

KINDS = ("cosine", "linear", "exponential", "inverse", "steps", "constant")
_LEAST_SHARE = 1e-4  # of the peak: what falls by factors never comes to nothing


@dataclass(frozen=True)
class Schedule:
    """How the learning rate moves over one training.

    Attributes:
        kind: `cosine`, `linear`, `exponential` (equal factors in equal times) or `inverse` (one over a line, as 1/t),
            which end at final_share; `steps` (times decay_factor at each of decay_at); or `constant`.
        peak: highest rate, after the warm-up.
        warmup: steps of linear rise from peak / warmup.
        total: steps the schedule spans; later steps keep its end.
        final_share: the end as a share of peak; at least 1e-4 for `exponential` and `inverse`.
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


def _linear(schedule: Schedule, way: float) -> float:
    return 1 - (1 - schedule.final_share) * way


def _exponential(schedule: Schedule, way: float) -> float:
    return max(schedule.final_share, _LEAST_SHARE) ** way


def _inverse(schedule: Schedule, way: float) -> float:
    return 1 / (1 + (1 / max(schedule.final_share, _LEAST_SHARE) - 1) * way)


def _steps(schedule: Schedule, way: float) -> float:
    return schedule.decay_factor ** sum(way >= at for at in schedule.decay_at)


def _constant(schedule: Schedule, way: float) -> float:
    return 1.0


_SHAPES: dict[str, Callable[[Schedule, float], float]] = {
    "cosine": _cosine,
    "linear": _linear,
    "exponential": _exponential,
    "inverse": _inverse,
    "steps": _steps,
    "constant": _constant,
}

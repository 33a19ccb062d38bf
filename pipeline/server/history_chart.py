"""An attribute's history as a drawing: who was in force as a line, every decision as a mark with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.server.domain.models import PROMOTED, ROLLED_BACK, Ruling
from pipeline.server.domain.results import Score

STEP, LEFT, RIGHT = 64, 44, 36
TOP, HEIGHT, BOTTOM = 10, 120, 22
MOST = 40  # the newest decisions that are drawn
_TICKS = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)  # distances between lines, the largest that gives three
_LEAST_SPAN = 0.01


@dataclass(frozen=True)
class Mark:
    """A decision in the drawing; `low` and `high` are the ends of its interval, None without one."""

    ruling: Ruling
    score: Score
    x: float
    y: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Chart:
    """The drawing, in pixels. No marks: nothing that could be drawn."""

    width: int
    height: int
    marks: Sequence[Mark]
    line: str
    ticks: Sequence[tuple[float, str]]
    left_out: int


@dataclass(frozen=True)
class Scale:
    """From values to heights, the largest on top."""

    low: float
    high: float

    def __call__(self, value: float) -> float:
        """Pixels from above."""
        return round(TOP + HEIGHT * (self.high - value) / (self.high - self.low), 1)


def draw(history: Sequence[Ruling]) -> Chart:
    """The newest decisions whose report still says what was measured, oldest left."""
    measured = [(ruling, ruling.score) for ruling in history if ruling.score and ruling.score.value is not None]
    drawn = measured[-MOST:]
    scale = _scale([value for _, score in drawn for value in (score.value, score.low, score.high) if value is not None])
    marks = [_mark(scale, place, ruling, score) for place, (ruling, score) in enumerate(drawn)]
    width = LEFT + RIGHT + STEP * max(1, len(marks))
    ticks = [(scale(value), f"{value:.3g}") for value in _lines(scale)] if marks else []
    return Chart(width, TOP + HEIGHT + BOTTOM, marks, _line(marks, width), ticks, len(measured) - len(drawn))


def _mark(scale: Scale, place: int, ruling: Ruling, score: Score) -> Mark:
    value = score.value or 0.0
    ends = [scale(end) if end is not None else None for end in (score.low, score.high)]
    return Mark(ruling, score, LEFT + STEP * (place + 0.5), scale(value), *ends)


def _line(marks: Sequence[Mark], width: int) -> str:
    """The height of whoever was in force, from his decision to the next one that changed it; then to the edge."""
    points: list[tuple[float, float]] = []
    for mark in marks:
        if mark.ruling.action in (PROMOTED, ROLLED_BACK):
            if points:
                points.append((mark.x, points[-1][1]))
            points.append((mark.x, mark.y))
    if points:
        points.append((width - 4, points[-1][1]))
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _scale(values: Sequence[float]) -> Scale:
    if not values:
        return Scale(0.0, 1.0)
    low, high = min(values), max(values)
    air = max(high - low, _LEAST_SPAN) * 0.08
    return Scale(min(low, max(0.0, low - air)), max(high, min(1.0, high + air)))  # scores end at 0 and 1


def _lines(scale: Scale) -> list[float]:
    for step in _TICKS:
        first = int(scale.low / step) + 1
        found = [i * step for i in range(first, first + 20) if i * step <= scale.high]
        if len(found) >= 3:
            return found
    return []

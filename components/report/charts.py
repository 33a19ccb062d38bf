"""Small charts as inline SVG. Colours are CSS classes, so that light and dark follow the page; each says in words
what it shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 360, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 20, 34


@dataclass(frozen=True)
class Series:
    """One line: a name for the legend, x and y of equal length; `kind` picks its colour and dash (0, 1, 2, ...)."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: int = 0


@dataclass(frozen=True)
class Frame:
    """The data ranges of a chart, both ends included."""

    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Data to picture coordinates."""
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def lines(
    label: str,
    series: Sequence[Series],
    axes: tuple[str, str],
    frame: Frame | None = None,
    marks: Sequence[tuple[float, str]] = (),
) -> Markup:
    """A line chart.

    Args:
        label: what it shows, for people who do not see it.
        series: the lines; points that are not finite are left out.
        axes: names of the x and y axis.
        frame: fixed ranges; by default those of the data.
        marks: x and word of upright separators, for instance where a phase begins.
    """
    frame = frame or _fit(series)
    parts = [_axes(frame, axes), *(_mark(frame, x, word) for x, word in marks)]
    parts += [_line(frame, s) for s in series]
    return _svg(label, parts)


def reliability(label: str, confidence: Sequence[float], right: Sequence[float], count: Sequence[int]) -> Markup:
    """Accuracy over confidence; points below the diagonal are over-confident. Dot area: number of pictures."""
    frame = Frame((0.0, 1.0), (0.0, 1.0))
    most = max([*count, 1])
    points = [(c, r, n) for c, r, n in zip(confidence, right, count, strict=True) if n]
    parts = [_axes(frame, ("confidence", "share right")), _path("diagonal", [frame.place(0, 0), frame.place(1, 1)])]
    parts.append(_path("s0", [frame.place(c, r) for c, r, _ in points]))
    for c, r, n in points:
        x, y = frame.place(c, r)
        parts.append(
            Markup('<circle class="dot" cx="{}" cy="{}" r="{}"/>').format(
                _n(x), _n(y), _n(1.5 + 4.5 * math.sqrt(n / most))
            )
        )
    return _svg(label, parts)


def scatter(label: str, x: Sequence[float], y: Sequence[float]) -> Markup:
    """Predicted numbers (y) over true ones (x), with the diagonal on which both are the same."""
    low, high = min(*x, *y), max(*x, *y)
    frame = Frame((low, high), (low, high))
    dots = [
        Markup('<circle class="dot" cx="{}" cy="{}" r="2"/>').format(*map(_n, frame.place(*p)))
        for p in zip(x, y, strict=True)
    ]
    diagonal = _path("diagonal", [frame.place(low, low), frame.place(high, high)])
    return _svg(label, [_axes(frame, ("true", "predicted")), diagonal, *dots])


def whisker(low: float, value: float, high: float, scale: tuple[float, float], kind: str) -> Markup:
    """An interval on a scale shared by a column of a table, with a line at zero; `kind` is its verdict."""
    width, height, pad = 120, 16, 5

    def across(v: float) -> float:
        return pad + (min(max(v, scale[0]), scale[1]) - scale[0]) / ((scale[1] - scale[0]) or 1) * (width - 2 * pad)

    zero, a, b, dot = (_n(across(v)) for v in (0.0, low, high, value))
    return Markup(
        '<svg class="whisker {}" viewBox="0 0 {} {}" aria-hidden="true"><path class="zero" d="M{} 1V15"/>'
        '<path class="span" d="M{} 8H{}"/><circle cx="{}" cy="8" r="3.2"/></svg>'
    ).format(kind, width, height, zero, a, b, dot)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers within [low, high], about so many. Never in steps of 2.5: half an epoch means nothing."""
    span = high - low
    if not span > 0:
        return [low]
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999 and (m != 2.5 or power != 1))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _fit(series: Sequence[Series]) -> Frame:
    points = [(x, y) for s in series for x, y in zip(s.x, s.y, strict=True) if math.isfinite(y)]
    if not points:
        return Frame((0.0, 1.0), (0.0, 1.0))
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    pad = 0.06 * (max(ys) - min(ys)) or 0.05
    return Frame((min(xs), max(max(xs), min(xs) + 1)), (min(ys) - pad, max(ys) + pad))


def _axes(frame: Frame, names: tuple[str, str]) -> Markup:
    parts = []
    for y in ticks(*frame.y):
        _, at = frame.place(frame.x[0], y)
        parts.append(Markup('<path class="rule" d="M{} {}H{}"/>').format(LEFT, _n(at), WIDTH - RIGHT))
        parts.append(_text(LEFT - 6, at + 4, f"{y:g}", "end"))
    for x in ticks(*frame.x, about=6):
        at, _ = frame.place(x, frame.y[0])
        parts.append(_text(at, HEIGHT - BOTTOM + 15, f"{x:g}", "middle"))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 4, names[0], "end"))
    parts.append(_text(LEFT, HEIGHT - 4, f"↑ {names[1]}", "start"))
    return Markup("").join(parts)


def _mark(frame: Frame, x: float, word: str) -> Markup:
    at, _ = frame.place(x, frame.y[0])
    bar = Markup('<path class="mark" d="M{} {}V{}"/>').format(_n(at), TOP - 10, HEIGHT - BOTTOM)
    return bar + _text(at + 4, TOP - 3, word, "start")


def _line(frame: Frame, series: Series) -> Markup:
    points = [frame.place(x, y) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(y)]
    if len(points) == 1:
        return Markup('<circle class="dot k{}" cx="{}" cy="{}" r="3"/>').format(series.kind, *map(_n, points[0]))
    return _path(f"s{series.kind}", points)


def _path(kind: str, points: Sequence[tuple[float, float]]) -> Markup:
    if not points:
        return Markup("")
    return Markup('<path class="{}" d="M{}"/>').format(kind, "L".join(f"{_n(x)} {_n(y)}" for x, y in points))


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(_n(x), _n(y), anchor, words)


def _svg(label: str, parts: Sequence[Markup]) -> Markup:
    inside = Markup("").join(parts)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, escape(label), inside
    )


def _n(value: float) -> str:
    """A coordinate with one decimal: enough to see, and few bytes."""
    return f"{value:.1f}".removesuffix(".0")

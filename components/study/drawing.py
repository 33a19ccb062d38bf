"""The pictures of a study as SVG: networks, and intervals on one scale. No graphviz, no script."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from components.study.network import CONVOLUTION, DENSE, JOIN, OTHER, PICTURE, POOL, Unit

_ROW, _BOX, _LEFT, _WIDTH, _TEXT = 28, 18, 70, 640, 250
_WIDEST = 150  # of a box: 4096 channels
_TALLEST = 40  # of a network in a cell
# Of one lightness, so that they are told from a light and from a dark ground; the words say the same.
_COLOURS = {
    PICTURE: "#8a8f98",
    CONVOLUTION: "#4c84d4",
    POOL: "#c97b2e",
    JOIN: "#6f9a3d",
    DENSE: "#a36bc4",
    OTHER: "#8a8f98",
}


def network(name: str, units: Sequence[Unit]) -> Markup:
    """A network from top to bottom: a box for each unit, as wide as it has channels; by-passes are arcs on the left.

    The file stands for itself: colours inside, text in the colour of what surrounds it.
    """
    parameters = sum(unit.parameters for unit in units)
    label = f"{name}: {len(units)} layers, {parameters:,} parameters"
    parts = [_edge(source, number) for number, unit in enumerate(units) for source in unit.sources]
    parts += [_row(number, unit) for number, unit in enumerate(units)]
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="network" viewBox="0 0 {} {}" width="{}" role="img" '
        'aria-label="{}" font-family="system-ui, sans-serif" font-size="12" fill="currentColor">{}</svg>\n'
    ).format(_WIDTH, len(units) * _ROW, _WIDTH, label, Markup("").join(parts))


def thumbnail(units: Sequence[Unit]) -> Markup:
    """The boxes of a network alone, small enough for a cell of a table."""
    rows = [
        Markup('<rect y="{}" width="{}" height="3" fill="{}"/>').format(4 * number, _width(unit), _COLOURS[unit.kind])
        for number, unit in enumerate(units)
    ]
    height = 4 * len(units)
    return Markup(
        '<svg class="thumbnail" viewBox="0 0 {} {}" width="48" height="{}" preserveAspectRatio="none" '
        'aria-hidden="true">{}</svg>'
    ).format(_WIDEST, height, min(height, _TALLEST), Markup("").join(rows))


def whisker(low: float, value: float, high: float, reach: float, verdict: str) -> Markup:
    """An interval on the scale from -reach to reach, with a line at zero; the colour is that of its verdict."""
    zero, a, b, dot = (f"{5 + (v + reach) / (2 * reach) * 110:.1f}" for v in (0.0, low, high, value))
    return Markup(
        '<svg class="whisker {}" viewBox="0 0 120 16" aria-hidden="true"><path class="zero" d="M{} 1V15"/>'
        '<path d="M{} 8H{}"/><circle cx="{}" cy="8" r="3.2"/></svg>'
    ).format(verdict, zero, a, b, dot)


def _row(number: int, unit: Unit) -> Markup:
    middle, width = _middle(number), _width(unit)
    details = "×".join(map(str, unit.shape)) + (f" · {unit.parameters:,}" if unit.parameters else "")
    return Markup(
        '<rect x="{}" y="{}" width="{}" height="{}" rx="3" fill="{}"/><text x="{}" y="{}">{}</text>'
        '<text x="{}" y="{}" text-anchor="end" opacity=".7">{}</text>'
    ).format(
        *(_LEFT, middle - _BOX // 2, width, _BOX, _COLOURS[unit.kind]),
        *(_TEXT - 16, middle + 4, " · ".join(unit.words)),
        *(_WIDTH - 2, middle + 4, details),
    )


def _edge(source: int, number: int) -> Markup:
    """A line to the next box, an arc past others."""
    begin, end = _middle(source), _middle(number)
    if number == source + 1:
        way = f"M{_LEFT + 12} {begin}V{end}"
    else:
        out = _LEFT - min(_LEFT - 4, 14 + 5 * (number - source))
        way = f"M{_LEFT} {begin}C{out} {begin} {out} {end} {_LEFT} {end}"
    return Markup('<path d="{}" fill="none" stroke="#8a8f98" stroke-width="1.5"/>').format(way)


def _middle(number: int) -> int:
    return number * _ROW + _ROW // 2


def _width(unit: Unit) -> int:
    """Of a box, by the logarithm of the channels."""
    return round(24 + (_WIDEST - 24) * min(1.0, math.log2(max(1, unit.shape[-1])) / 12))

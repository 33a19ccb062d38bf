"""Learning curves as one HTML page without scripts or outside files: inline SVG, and the same numbers as a table."""

import html
import math
from collections.abc import Callable, Sequence

History = Sequence[dict[str, float]]
Scale = Callable[[float], float]
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 520, 240, 56, 34, 14, 14
_CHARTS = (
    ("Loss", ("loss", "valid_loss")),
    ("Quality", ("accuracy", "valid_accuracy", "valid_map", "valid_basic_precision")),
    ("Learning rate", ("learning_rate",)),
)
_STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--paper:#fff;--faint:#8886;
--s0:#0b66c3;--s1:#b3410e;--s2:#1a7f37;--s3:#7a3fb5}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--paper:#16181c;--s0:#6cb2ff;--s1:#ff9a5c;--s2:#5fd083;--s3:#c79bff}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:1.5rem auto;max-width:72rem;
padding:0 1rem}
figure{display:inline-block;margin:0 1rem 1rem 0;max-width:100%}svg{max-width:100%;height:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.2rem .7rem;
text-align:right;border-bottom:1px solid var(--faint)}
tr.best td{font-weight:700}.scroll{overflow-x:auto}
text{fill:var(--ink);font:12px system-ui,sans-serif}line{stroke:var(--faint)}polyline{fill:none;stroke-width:2}
"""


def page(title: str, history: History, best_epoch: int) -> str:
    """The page.

    Args:
        title: what was trained, plain text.
        history: one dict of numbers for every epoch, `epoch` among them; NaN is shown as a gap.
        best_epoch: whose weights were kept, from 1.
    """
    charts = "".join(
        _chart(name, [s for s in series if s in history[0]], history, best_epoch) for name, series in _CHARTS
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><h1>{html.escape(title)}</h1>"
        f"<p>Epoch {best_epoch} of {len(history)} was kept.</p>{charts}{_table(history, best_epoch)}</html>"
    )


def _chart(title: str, series: Sequence[str], history: History, best_epoch: int) -> str:
    values = [row[name] for row in history for name in series if math.isfinite(row[name])]
    if not values:
        return ""
    low, high = min(values), max(values)
    high = high if high > low else low + (abs(low) or 1)
    epochs = [row["epoch"] for row in history]
    across = _scale(min(epochs), max(epochs), _LEFT, _WIDTH - _RIGHT)
    down = _scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(low, high, down), _axis(epochs, across)]
    kept = across(best_epoch)
    parts.append(f'<line x1="{kept}" x2="{kept}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke-dasharray="4 3"/>')
    parts += [
        _line(number, [(across(row["epoch"]), down(row[name])) for row in history if math.isfinite(row[name])])
        for number, name in enumerate(series)
    ]
    legend = " ".join(f'<span style="color:var(--s{number})">■ {name}</span>' for number, name in enumerate(series))
    label = html.escape(f"{title} by epoch; the numbers are in the table below")
    body = (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}">{"".join(parts)}</svg>'
    )
    return f"<figure><figcaption><strong>{title}</strong> {legend}</figcaption>{body}</figure>"


def _scale(low: float, high: float, begin: float, end: float) -> Scale:
    span = (high - low) or 1
    return lambda value: round(begin + (value - low) / span * (end - begin), 1)


def _grid(low: float, high: float, down: Scale) -> str:
    parts = []
    for step in range(5):
        value = low + (high - low) * step / 4
        y = down(value)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.3g}</text>')
    return "".join(parts)


def _axis(epochs: Sequence[float], across: Scale) -> str:
    every = max(1, math.ceil(len(epochs) / 10))
    marks = (
        f'<text x="{across(e)}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{e:g}</text>' for e in epochs[::every]
    )
    return "".join(marks)


def _line(number: int, points: Sequence[tuple[float, float]]) -> str:
    text = " ".join(f"{x},{y}" for x, y in points)
    # One epoch is one point: a dot, or nothing would be seen.
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="2.5" fill="var(--s{number})"/>' for x, y in points)
    return f'<polyline points="{text}" stroke="var(--s{number})"/>{dots}'


def _table(history: History, best_epoch: int) -> str:
    names = list(history[0])
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    rows = "".join(_row(row, names, best=row["epoch"] == best_epoch) for row in history)
    caption = "<caption>Every epoch; the kept one is bold</caption>"
    body = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="scroll"><table>{caption}{body}</table></div>'


def _row(row: dict[str, float], names: Sequence[str], *, best: bool) -> str:
    cells = "".join(
        f"<td>{row[name]:.6g}</td>" if math.isfinite(row[name]) else "<td>not defined</td>" for name in names
    )
    return f"<tr{' class=best' if best else ''}>{cells}</tr>"

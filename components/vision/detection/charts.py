"""Line charts as inline SVG, for pages without scripts: loss, IOU, precision against recall."""

import html
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from components.vision.detection import log

Scale = Callable[[float], float]
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 520, 240, 60, 34, 14, 14
_MOST_POINTS = 400
STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--paper:#fff;--faint:#8886;
--s0:#0b66c3;--s1:#b3410e;--s2:#1a7f37}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--paper:#16181c;--s0:#6cb2ff;--s1:#ff9a5c;--s2:#5fd083}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:1.5rem auto;max-width:72rem;
padding:0 1rem}
figure{display:inline-block;margin:0 1rem 1rem 0;max-width:100%;vertical-align:top}svg,img{max-width:100%;height:auto}
svg{min-width:30rem}table{border-collapse:collapse;margin-bottom:1.5rem;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid var(--faint)}th:first-child{text-align:left}
caption{text-align:left;font-weight:600;padding:.4rem 0}.scroll{overflow-x:auto}
text{fill:var(--ink);font:13px system-ui,sans-serif}line{stroke:var(--faint)}polyline{fill:none;stroke-width:2}
"""

Series = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Name to x and y, equally long; a y that is not finite is left out."""


def page(title: str, body: str) -> str:
    """A whole page around a body of HTML."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style><h1>{html.escape(title)}</h1>{body}</html>"
    )


def table(caption: str, rows: Sequence[tuple[str, str]]) -> str:
    """Names and values, two columns."""
    body = "".join(f'<tr><th scope="row">{html.escape(k)}</th><td>{html.escape(v)}</td></tr>' for k, v in rows)
    return f'<div class="scroll"><table><caption>{html.escape(caption)}</caption>{body}</table></div>'


def loss_chart(found: log.Log) -> str:
    """Loss by iteration and darknet's running average, cut off at the top: the first losses would hide the rest."""
    finite = found.loss[np.isfinite(found.loss)]
    high = float(np.percentile(finite, 98)) if len(finite) else None
    series = {"loss": (found.iteration, found.loss), "running average": (found.iteration, found.average)}
    return lines(
        "Loss, its highest 2 % cut off",
        "iteration",
        {n: (x, np.minimum(y, high)) if high else (x, y) for n, (x, y) in series.items()},
    )


def iou_chart(found: log.Log) -> str:
    """Mean IOU of the boxes learnt, by iteration, one point for each hundredth of the way."""
    window = max(1, len(found) // 100)
    points = (found.iteration[::window], log.smoothed(found.iou, window))
    return lines("IOU", "iteration", {"IOU": points}, low=0, high=1)


def lines(
    title: str,
    across: str,
    series: Series,
    *,
    low: float | None = None,
    high: float | None = None,
    shares: bool = False,
) -> str:
    """A chart.

    Args:
        title: plain text.
        across: what x counts.
        series: at most three.
        low, high: of the y axis; None: those of the data.
        shares: x is a share, from 0 to 1; else a whole number, as far as the data goes.
    """
    shown = {name: _finite(*points) for name, points in series.items()}
    xs = np.concatenate([np.zeros(0), *(x for x, _ in shown.values())])
    ys = np.concatenate([np.zeros(0), *(y for _, y in shown.values())])
    if not len(xs):
        return f"<figure><figcaption><strong>{html.escape(title)}</strong></figcaption><p>No data.</p></figure>"
    bottom, top = _range(ys.min() if low is None else low, ys.max() if high is None else high)
    left, right = (0.0, 1.0) if shares else _range(xs.min(), xs.max())
    marks = np.linspace(left, right, 5) if shares else np.unique(np.rint(np.linspace(left, right, 5)))
    x, y = _scale(left, right, _LEFT, _WIDTH - _RIGHT), _scale(bottom, top, _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(bottom, top, y), _axis(marks.tolist(), x, across)]
    parts += [_line(number, *points, x, y) for number, points in enumerate(shown.values())]
    legend = " ".join(
        f'<span style="color:var(--s{number})">■ {html.escape(name)}</span>' for number, name in enumerate(shown)
    )
    label = html.escape(f"{title} over {across}", quote=True)
    drawn = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}">{"".join(parts)}</svg>'
    caption = f"<figcaption><strong>{html.escape(title)}</strong> {legend}</figcaption>"
    return f'<figure>{caption}<div class="scroll"><svg role="img" aria-label="{label}" {drawn}</div></figure>'


def _finite(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    keep = np.isfinite(x) & np.isfinite(y)
    x, y = np.asarray(x, float)[keep], np.asarray(y, float)[keep]
    every = max(1, math.ceil(len(x) / _MOST_POINTS))
    # The last point always stays: it is what people look for.
    rows = np.unique(np.append(np.arange(0, len(x), every), len(x) - 1)) if len(x) else slice(0)
    return x[rows], y[rows]


def _range(low: float, high: float) -> tuple[float, float]:
    return float(low), float(high if high > low else low + (abs(low) or 1))


def _scale(low: float, high: float, begin: float, end: float) -> Scale:
    return lambda value: round(begin + (value - low) / (high - low) * (end - begin), 1)


def _grid(low: float, high: float, down: Scale) -> str:
    values = [low + (high - low) * step / 4 for step in range(5)]
    return "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down(v)}" y2="{down(v)}"/>'
        f'<text x="{_LEFT - 6}" y="{down(v) + 4}" text-anchor="end">{v:.3g}</text>'
        for v in values
    )


def _axis(marks: Sequence[float], across: Scale, name: str) -> str:
    y = _HEIGHT - _BOTTOM + 16
    anchors = ["middle"] * (len(marks) - 1) + ["end"]  # or the last one would be cut off at the edge
    shown = (
        f'<text x="{across(v)}" y="{y}" text-anchor="{anchor}">{v:.12g}</text>'
        for v, anchor in zip(marks, anchors, strict=True)
    )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return "".join(shown) + f'<text x="{middle}" y="{y + 15}" text-anchor="middle">{html.escape(name)}</text>'


def _line(number: int, xs: np.ndarray, ys: np.ndarray, across: Scale, down: Scale) -> str:
    points = " ".join(f"{across(x)},{down(y)}" for x, y in zip(xs, ys, strict=True))
    return f'<polyline points="{points}" stroke="var(--s{number})"/>'

"""The page of pseudo_label: what was selected, why, and how right it probably is. Self-contained HTML."""

import html
import math
from collections.abc import Mapping
from typing import Any

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-weight: 600; padding: .5rem 0; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #8886; text-align: right; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
.bar { display: block; height: .5rem; background: #2a6fb0; min-width: 1px; }
.bar.prior { background: #8889; margin-bottom: 2px; }
.verdict { padding: .6rem 1rem; border-left: .3rem solid; }
.passed { border-color: #1a7f4b; } .refused { border-color: #b3261e; }
"""


def render(content: Mapping[str, Any]) -> str:
    """One page from the content of the reference's index."""
    gate, name = content["gate"], html.escape(content["attribute"])
    verdict = "passed" if gate["passed"] else "refused"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pseudo-labels of {name}</title><style>{_STYLE}</style></head><body>
<h1>Pseudo-labels of {name}</h1>
<p class="verdict {verdict}"><strong>{verdict.capitalize()}:</strong> {html.escape(gate["reason"])}</p>
{_facts(content)}
{_classes(content["per_class"])}
<p>A bar shows a class's share: grey in the labelled data, blue among the pseudo-labels.</p>
</body></html>
"""


def _facts(content: Mapping[str, Any]) -> str:
    gate = content["gate"]
    rows = [
        ("teachers", ", ".join(content["teachers"])),
        ("averaged", gate["teacher"]),
        ("average against the best teacher", _interval(gate["against_best"])),
        ("candidates", f"{content['candidates']:,}"),
        ("left out as copies of validation pictures", f"{content['excluded']['validation_copies']:,}"),
        ("left out as copies of each other", f"{content['excluded']['copies']:,}"),
        ("left out because two pictures have the name", f"{content['excluded']['same_name']:,}"),
        ("left out as black", f"{content['excluded']['black']:,}"),
        ("pseudo-labels", f"{content['rows']:,}, of them {content['transductive']:,} test pictures (transductive)"),
        ("estimated precision", _precision(gate)),
        ("weight of each in the loss", f"{content['weight']:g}"),
    ]
    body = "".join(f"<tr><th scope='row'>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in rows)
    return f"<table><caption>How they came about</caption>{body}</table>"


def _classes(per_class: list[Mapping[str, Any]]) -> str:
    total = sum(row["selected"] for row in per_class)
    head = "".join(f"<th scope='col'>{h}</th>" for h in ("class", "confident", "selected", "threshold", "share"))
    body = "".join(_class_row(row, row["selected"] / total if total else 0.0) for row in per_class)
    return f"<table><caption>Classes</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _class_row(row: Mapping[str, Any], share: float) -> str:
    threshold = "none" if row["threshold"] is None else f"{row['threshold']:.4f}"
    bars = (
        f"<span class='bar prior' style='width:{100 * row['prior']:.1f}%'></span>"
        f"<span class='bar' style='width:{100 * share:.1f}%'></span>{100 * row['prior']:.1f} % → {100 * share:.1f} %"
    )
    cells = [f"{row['confident']:,}", f"{row['selected']:,}", threshold, bars]
    return f"<tr><th scope='row'>{html.escape(row['class'])}</th>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"


def _precision(gate: Mapping[str, Any]) -> str:
    if gate["precision"] is None:
        return f"no estimate; at least {gate['min_precision']:g} is asked for"
    interval = f"{_number(gate['low'])} to {_number(gate['high'])}"
    return (
        f"{gate['precision']:.4f} ({interval}) on {gate['rows']:,} validation rows; at least {gate['min_precision']:g}"
    )


def _interval(found: Mapping[str, Any] | None) -> str:
    if found is None or found["low"] is None:
        return "not compared"
    return f"{found['difference']:+.4f} AP ({found['low']:+.4f} to {found['high']:+.4f}): {found['verdict']}"


def _number(value: float | None) -> str:
    return "?" if value is None or math.isnan(value) else f"{value:.4f}"

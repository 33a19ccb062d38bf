"""The page of a study: one HTML file, style and drawings inside, no script and no outside request."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from components.study import drawing
from components.study.comparison import Measured
from components.study.tables import Finding

HERE = Path(__file__).parent
SIGNS = {"gain": "▲", "noise": "≈", "loss": "▼"}
NONE, MINUS = "–", "\N{MINUS SIGN}"


def render(findings: Sequence[Finding], about: Mapping[str, Any]) -> str:
    """Fills the template; a value that it lacks is an error, not an empty place.

    Args:
        findings: the base first.
        about: base, metric, seeds, resamples, level of the intervals, and how many pictures judge on each split.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = [_row(f, _reach(findings)) for f in findings]
    splits = [split for split in ("valid", "test") if split in findings[0].measured]
    return environment.get_template("page.html").render(about, rows=rows, splits=splits)


def _row(finding: Finding, reach: dict[str, float]) -> dict[str, Any]:
    return {
        "name": finding.variant.name,
        "notes": finding.variant.notes,
        "changes": [(name, str(value)) for name, value in finding.variant.changes.items()],
        "parameters": f"{finding.parameters:,}",
        "flops": NONE if finding.flops is None else f"{finding.flops:,}",
        "minutes": f"{finding.minutes:.1f}" if math.isfinite(finding.minutes) else NONE,
        "drawing": drawing.network(finding.variant.name, finding.units),
        "thumbnail": drawing.thumbnail(finding.units),
        **{split: _measured(m, reach[split]) for split, m in finding.measured.items()},
    }


def _measured(measured: Measured, reach: float) -> dict[str, Any]:
    return {
        "mean": share(measured.mean),
        "sd": share(measured.sd),
        "seeds": [(seed, share(value)) for seed, value in measured.values.items()],
        "against": _against(measured, reach),
    }


def _against(measured: Measured, reach: float) -> dict[str, Any] | None:
    """The difference with its interval, or nothing at all: there is no difference without one."""
    found = measured.difference
    if found is None:
        return None
    return {
        "difference": signed(found.difference),
        "interval": f"{signed(found.low)} to {signed(found.high)}",
        "verdict": found.verdict,
        "sign": SIGNS[found.verdict],
        "drawing": drawing.whisker(found.low, found.difference, found.high, reach, found.verdict),
    }


def _reach(findings: Sequence[Finding]) -> dict[str, float]:
    """Half the width of the scale that a split's intervals share."""
    return {
        split: 1.05
        * max([abs(end) for f in findings if (d := f.measured[split].difference) for end in (d.low, d.high)] + [0.001])
        for split in findings[0].measured
    }


def share(value: float) -> str:
    """A metric in [0, 1] with four decimals, or a dash."""
    return f"{value:.4f}" if math.isfinite(value) else NONE


def signed(value: float) -> str:
    """A difference with its sign and four decimals."""
    return f"{value:+.4f}".replace("-", MINUS) if round(value, 4) else "0.0000"

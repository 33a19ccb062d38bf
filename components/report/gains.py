"""Differences with their verdict: what each stage added, and what the ensemble was chosen by. Noise is called noise."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.report import charts, numbers
from components.report.evidence import Attribute

SIGNS = {"gain": "▲", "noise": "≈", "loss": "▼"}
_AP = ("difference", "ci_low", "ci_high", "p_noise")
_ACCURACY = ("accuracy_difference", "accuracy_low", "accuracy_high", "accuracy_verdict")
_INTERVAL = ("difference", "low", "high", "verdict")


def stage_tables(attributes: Sequence[Attribute]) -> list[dict[str, Any]]:
    """The gain table of every attribute: all models together, then each; all intervals are drawn on one scale."""
    records = [a.stages.to_dict("records") for a in attributes]
    reach = _reach(row for rows in records for row in rows)
    return [
        {"attribute": a.name, "rows": _stages(rows, "", reach), "models": _of_models(rows, reach)}
        for a, rows in zip(attributes, records, strict=True)
        if rows
    ]


def choices(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The comparisons behind an ensemble: students against teachers, each fitted method against equal weights."""
    found = {"students against teachers": content.get("students_against_teachers")}
    found |= {f"{name} against equal weights": v for name, v in (content.get("methods_against_equal") or {}).items()}
    compared = {name: values for name, values in found.items() if values}
    reach = _reach(compared.values(), _INTERVAL)
    return [{"name": name, **_gain(values, _INTERVAL, reach)} for name, values in compared.items()]


def correlation(content: Mapping[str, Any]) -> dict[str, Any]:
    """How alike the errors of the models are, pairwise; empty for a single model."""
    found = content.get("error_correlation") or {"names": [], "values": []}
    if len(found["names"]) < 2:
        return {"names": [], "rows": []}
    rows = zip(found["names"], found["values"], strict=True)
    return {"names": found["names"], "rows": [(n, [numbers.signed(_number(v)) for v in values]) for n, values in rows]}


def _of_models(rows: Sequence[Mapping[Any, Any]], reach: float) -> list[dict[str, Any]]:
    models = dict.fromkeys(str(r.get("model") or "") for r in rows)
    return [{"model": m, "rows": _stages(rows, m, reach)} for m in models if m]


def _stages(rows: Sequence[Mapping[Any, Any]], model: str, reach: float) -> list[dict[str, Any]]:
    return [_stage(row, reach) for row in rows if str(row.get("model") or "") == model]


def _stage(row: Mapping[Any, Any], reach: float) -> dict[str, Any]:
    values = {name: numbers.share(_number(row.get(name))) for name in ("ap", "basic_precision", "accuracy")}
    return {
        "stage": str(row["stage"]),
        "against": str(row.get("against") or ""),
        "gain": _gain(row, _AP, reach),
        "accuracy_gain": _gain(row, _ACCURACY, reach),
        **values,
    }


def _gain(row: Mapping[Any, Any], names: tuple[str, ...], reach: float) -> dict[str, Any]:
    """A difference in words and as a picture: difference, interval, picture, verdict, sign."""
    difference, low, high = (_number(row.get(name)) for name in names[:3])
    verdict = str(row.get(names[3]) or "")
    drawn = all(map(math.isfinite, (difference, low, high))) and verdict in SIGNS
    return {
        "difference": numbers.signed(difference),
        "interval": f"{numbers.signed(low)} to {numbers.signed(high)}" if drawn else numbers.NONE,
        "picture": charts.whisker(low, difference, high, (-reach, reach), verdict) if drawn else "",
        "verdict": verdict if drawn else "",
        "sign": SIGNS.get(verdict, ""),
    }


def _reach(rows: Iterable[Mapping[Any, Any]], names: tuple[str, ...] = _AP) -> float:
    """Half the width of the shared scale."""
    ends = [abs(_number(row.get(name))) for row in rows for name in names[1:3]]
    return max([e for e in ends if math.isfinite(e)] + [0.001]) * 1.05


def _number(value: Any) -> float:
    return float(value) if value is not None else math.nan

"""Why a picture got its pseudo-label, or got none."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.console import traces
from pipeline.console.sheets import Sheet, read_rows
from pipeline.server.domain.pictures import Pseudo

_GATE = ("precision", "low", "high", "min_precision", "rows")


def pseudo(sheet: Sheet) -> Pseudo | None:
    """Of an unlabelled picture or a question; None where the run has no pseudo-labels for the attribute."""
    made = traces.of_attribute(sheet.found.pseudo, "pseudo", sheet.attribute)
    if not made:
        return None
    about = traces.content(made[0].where, "pseudo")
    gate = {name: float(value) for name in _GATE if isinstance(value := about["gate"].get(name), int | float)}
    rows = read_rows(sheet, made[0], "pseudo.parquet", ["predicted", "weight", "confidence"])
    if not rows:
        return Pseudo(False, _why_not(sheet, about), made[0].key, gate=gate)
    place = int(rows[0]["predicted"])
    return Pseudo(
        True,
        str(about["gate"].get("reason", "")),
        made[0].key,
        predicted=sheet.classes[place] if place < len(sheet.classes) else str(place),
        confidence=rows[0]["confidence"],
        weight=rows[0]["weight"],
        threshold=_threshold(about, place),
        gate=gate,
    )


def _why_not(sheet: Sheet, about: Mapping[str, Any]) -> str:
    if not about["gate"].get("passed"):
        return f"nobody got one: {about['gate'].get('reason', 'the gate refused them')}"
    teachers = _teachers(sheet, about)
    if not teachers:
        return "it was not a candidate"
    mean = [sum(values) / len(teachers) for values in zip(*teachers, strict=True)]
    place = max(range(len(mean)), key=lambda at: mean[at])
    said = f"its teachers say {sheet.classes[place]} with {mean[place]:.3f}"
    threshold = _threshold(about, place)
    if threshold is not None and mean[place] < threshold:
        return f"{said}; {threshold:.3f} were needed"
    return f"{said}, but it was left out as a copy, or its class had enough"


def _teachers(sheet: Sheet, about: Mapping[str, Any]) -> list[Sequence[float]]:
    wanted = set(about.get("predictions", ()))
    lefts = [left for left in sheet.found.predictions if left.where.rsplit("/", 1)[-1] in wanted]
    rows = [read_rows(sheet, left, "predictions.parquet", ["view", "probability"]) for left in lefts]
    return [row["probability"] for found in rows for row in found if row["view"] == "mean"]


def _threshold(about: Mapping[str, Any], place: int) -> float | None:
    """What a candidate of a class needed: the class's own, else the rule's."""
    per_class = about.get("per_class", [])
    own = per_class[place].get("threshold") if place < len(per_class) else None
    value = own if own is not None else about.get("threshold")
    return float(value) if value is not None else None

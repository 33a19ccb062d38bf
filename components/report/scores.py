"""Scores with their bootstrap intervals, of each attribute and in total, and the tables behind the charts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from components.report.evidence import Attribute, Rows
from components.report.settings import Settings
from components.vision import bootstrap, calibration, judging, metrics
from components.vision.tasks import REGRESSION

_OWN_RESAMPLES = 200  # a loop in Python, unlike those of the contest's metric
DIGITS = 10  # of what is written: beyond them machines differ
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % bootstrap interval; NaN where undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class AttributeScores:
    """One attribute on its validation pictures.

    Attributes:
        estimates: `ap`, `basic_precision`, `accuracy`; of decisions where several classes may be right.
        ece: expected calibration error.
        score: counts behind them.
        own: what only its task is measured by, see `judging.own_measures`.
    """

    estimates: dict[str, Estimate]
    ece: float
    score: metrics.Score
    own: dict[str, Estimate]


@dataclass(frozen=True)
class Scores:
    """All attributes and their total: `map`, `basic_precision`, `accuracy`; the means leave `undefined` ones out."""

    attributes: dict[str, AttributeScores]
    total: dict[str, Estimate]
    undefined: tuple[str, ...]


def score(attributes: Sequence[Attribute], settings: Settings, seed: int) -> Scores:
    """Scores every attribute and the total, reading `per_item`; intervals resample duplicate groups of an attribute."""
    found: dict[str, AttributeScores] = {}
    draws: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    for number, attribute in enumerate(attributes):
        draws[attribute.name] = _draws(attribute.valid.decisions, settings, seed + number)
        own = _own(attribute.valid, settings, seed + number)
        found[attribute.name] = _attribute(attribute.valid.decisions, draws[attribute.name], settings, own)
    defined = {n: s.score for n, s in found.items() if not math.isnan(s.score.ap)}
    numbers = {a.name for a in attributes if a.task.name == REGRESSION}
    return Scores(found, _total(defined, draws), tuple(n for n in found if n not in {*defined, *numbers}))


def _own(rows: Rows, settings: Settings, seed: int) -> dict[str, Estimate]:
    """The task's own measures with intervals over duplicate groups."""
    exact = judging.own_measures(rows.task, rows.probability, rows.label)
    labels = np.array(rows.label, dtype=object)

    def drawn(name: str) -> npt.NDArray[np.float64]:
        def value(places: npt.NDArray[np.int64]) -> float:
            return judging.own_measures(rows.task, rows.probability[places], list(labels[places]))[name]

        return bootstrap.redrawn(value, len(labels), rows.group, min(settings.resamples, _OWN_RESAMPLES), seed)

    return {name: Estimate(value, *bootstrap.quantiles(drawn(name))) for name, value in exact.items()}


def confusion(rows: Rows) -> Counts:
    """(K, K) pictures by class of the label (row) and predicted class (column), also where the label has an `m`."""
    truth = metrics.true_classes(rows.label)
    known = truth >= 0
    size = rows.probability.shape[1]
    table = np.zeros((size, size), dtype=np.int64)
    np.add.at(table, (truth[known], rows.predicted[known]), 1)
    return table


def coverage(rows: Rows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The block-count curve: share of pictures answered, ascending, and precision among them; a point a threshold."""
    if not rows.label:
        return np.empty(0), np.empty(0)
    confidence, outcome = metrics.judged(rows.probability, rows.label)
    order = np.argsort(-confidence, kind="stable")
    ends = np.unique(metrics.tie_ends(confidence[order]))
    right = np.cumsum(outcome[order] == metrics.RIGHT)[ends]
    counted = np.cumsum(outcome[order] != metrics.FUZZY)[ends]
    valid = counted > 0
    return (ends[valid] + 1) / len(confidence), right[valid] / counted[valid]


def coverage_at(rows: Rows, precision: float) -> float:
    """The largest share of pictures that can be answered with at least this precision; 0 where none can."""
    answered, reached = coverage(rows)
    enough = answered[reached >= precision]
    return float(enough.max()) if len(enough) else 0.0


def as_json(scores: Scores, attributes: Sequence[Attribute], settings: Settings) -> dict[str, Any]:
    """What stands in scores.json; an undefined number is null."""
    by_name = {a.name: a for a in attributes}
    return {
        "reading": "per_item",
        "interval": {
            "method": "percentile bootstrap over duplicate groups",
            "level": 0.95,
            "resamples": settings.resamples,
        },
        "total": {name: _plain(e) for name, e in scores.total.items()},
        "undefined": list(scores.undefined),
        "attributes": {
            name: _attribute_json(s, by_name[name].valid, settings) for name, s in scores.attributes.items()
        },
    }


def finite(scores: Scores) -> dict[str, float]:
    """Flat finite numbers for the Metrics artifact: `map`, `map_low`, ..., `<attribute>.ap`, ..."""
    named: dict[str, Estimate] = dict(scores.total)
    for attribute, found in scores.attributes.items():
        named |= {f"{attribute}.{name}": e for name, e in (found.estimates | found.own).items()}
    flat = {name + end: getattr(e, field) for name, e in named.items() for end, field in _ENDS.items()}
    flat |= {f"{name}.ece": s.ece for name, s in scores.attributes.items()}
    return {name: rounded for name, value in flat.items() if (rounded := rounded_or_none(value)) is not None}


def rounded_or_none(value: float) -> float | None:
    """A number as it is written, null where undefined."""
    return round(float(value), DIGITS) if math.isfinite(value) else None


_ENDS = {"": "value", "_low": "low", "_high": "high"}


def _draws(rows: Rows, settings: Settings, seed: int) -> dict[str, npt.NDArray[np.float64]]:
    return {
        name: bootstrap.resampled(rows.probability, rows.label, rows.group, name, settings.resamples, seed)
        for name in bootstrap.METRICS
    }


def _attribute(
    rows: Rows, draws: Mapping[str, npt.NDArray[np.float64]], settings: Settings, own: dict[str, Estimate]
) -> AttributeScores:
    found = metrics.average_precision(rows.probability, rows.label) if rows.label else _NOTHING
    estimates = {name: Estimate(getattr(found, name), *bootstrap.quantiles(draws[name])) for name in bootstrap.METRICS}
    return AttributeScores(
        estimates, calibration.expected_calibration_error(rows.probability, rows.label, settings.bins), found, own
    )


def _total(
    defined: dict[str, metrics.Score], draws: Mapping[str, Mapping[str, npt.NDArray[np.float64]]]
) -> dict[str, Estimate]:
    """Unweighted means over the attributes, whatever their sizes, resample by resample."""
    total = metrics.mean_over_attributes(defined)
    found = {}
    for name, key in (("map", "ap"), ("basic_precision", "basic_precision"), ("accuracy", "accuracy")):
        together = [draws[a][key] for a in defined]
        drawn = np.mean(together, axis=0) if together else np.empty(0)
        found[name] = Estimate(getattr(total, name), *bootstrap.quantiles(drawn))
    return found


def _attribute_json(scores: AttributeScores, rows: Rows, settings: Settings) -> dict[str, Any]:
    reached = {f"{p:g}": rounded_or_none(coverage_at(rows.decisions, p)) for p in settings.precisions}
    own = {"task": rows.task.name, "own": {n: _plain(e) for n, e in scores.own.items()}} if scores.own else {}
    return {
        **own,
        **{name: _plain(e) for name, e in scores.estimates.items()},
        "ece": rounded_or_none(scores.ece),
        "count": scores.score.count,
        "m_count": scores.score.m_count,
        "skipped": scores.score.skipped,
        "other_readings": _other_readings(rows.decisions),
        "coverage_at_precision": reached,
        "confusion": confusion(rows).tolist() if rows.task.is_exclusive else [],
    }


def _other_readings(rows: Rows) -> dict[str, float | None]:
    """AP as other public code reads the contest's text; for comparison, without interval."""
    others = [reading for reading in metrics.READINGS if reading != "per_item"] if rows.label else []
    return {r: rounded_or_none(metrics.average_precision(rows.probability, rows.label, r).ap) for r in others}


def _plain(estimate: Estimate) -> dict[str, float | None]:
    return {field: rounded_or_none(getattr(estimate, field)) for field in _ENDS.values()}


_NOTHING = metrics.Score(math.nan, math.nan, math.nan, 0, 0, 0)

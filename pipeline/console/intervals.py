"""Differences of metrics with paired bootstrap intervals, of each attribute and of their mean."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.vision import bootstrap
from pipeline.console.evidence import Joined
from pipeline.server.domain.comparison import SAME, UNKNOWN, Overlap, Paired

IN_TOTAL = {"ap": "map"}
Draws = npt.NDArray[np.float64]


def rows(joined: Sequence[Joined], resamples: int, seed: int) -> list[Paired]:
    """The total first, then every attribute; resamples of one seed for both runs, which is what makes them paired."""
    found: list[Paired] = []
    for metric in bootstrap.METRICS:
        values = [_values(one, metric) for one in joined]
        draws = [_drawn(one, metric, resamples, seed + number) for number, one in enumerate(joined)]
        found.append(_total(metric, values, draws, sum(len(one.label) for one in joined)))
        found += [
            _row(one.attribute, metric, pair, difference, len(one.label))
            for one, pair, difference in zip(joined, values, draws, strict=True)
        ]
    order = ["", *(one.attribute for one in joined)]
    return sorted(found, key=lambda row: order.index(row.attribute))


def overlap(one: Joined) -> Overlap:
    """How far the validation sets are the same."""
    counts = one.counts
    return Overlap(
        one.attribute, counts["first"], counts["second"], len(one.label), counts["relabelled"], counts["trained_on"]
    )


def _values(one: Joined, metric: str) -> tuple[float, float]:
    return bootstrap.exact(one.first, one.label, metric), bootstrap.exact(one.second, one.label, metric)


def _drawn(one: Joined, metric: str, resamples: int, seed: int) -> Draws:
    first, second = (
        bootstrap.resampled(p, one.label, one.group, metric, resamples, seed) for p in (one.first, one.second)
    )
    return second - first


def _total(metric: str, values: Sequence[tuple[float, float]], draws: Sequence[Draws], pictures: int) -> Paired:
    """The mean over attributes that define the metric in both runs, whatever their sizes, resample by resample."""
    defined = [i for i, pair in enumerate(values) if not any(map(math.isnan, pair))]
    name = IN_TOTAL.get(metric, metric)
    if not defined:
        return _row("", name, (math.nan, math.nan), np.empty(0), pictures)
    first, second = (math.fsum(values[i][end] for i in defined) / len(defined) for end in (0, 1))
    return _row("", name, (first, second), np.mean([draws[i] for i in defined], axis=0), pictures)


def _row(attribute: str, metric: str, pair: tuple[float, float], draws: Draws, pictures: int) -> Paired:
    first, second = pair
    found = bootstrap.interval(second - first, draws)
    is_defined = all(map(math.isfinite, (found.difference, found.low, found.high)))
    verdict = SAME if found.is_zero else found.verdict if is_defined else UNKNOWN
    return Paired(
        attribute,
        metric,
        first=_or_none(first),
        second=_or_none(second),
        difference=_or_none(found.difference),
        low=_or_none(found.low),
        high=_or_none(found.high),
        verdict=verdict,
        pictures=pictures,
    )


def _or_none(value: float) -> float | None:
    return round(float(value), 10) if math.isfinite(value) else None

"""Differences of metrics with paired bootstrap intervals, of each attribute and of their mean."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from components.vision import bootstrap, judging
from components.vision.bootstrap import Interval
from components.vision.tasks import REGRESSION
from pipeline.console.evidence import Joined
from pipeline.server.domain.comparison import ERROR, SAME, Overlap, Paired

IN_TOTAL = {"ap": "map"}
_UNDEFINED = bootstrap.interval(math.nan, np.empty(0))
Draws = npt.NDArray[np.float64]


def rows(joined: Sequence[Joined], resamples: int, seed: int) -> list[Paired]:
    """The total first, then every attribute; resamples of one seed for both runs, which is what makes them paired."""
    numbered = list(enumerate(joined, seed))
    shares = [(own_seed, one) for own_seed, one in numbered if one.task.name != REGRESSION]
    found = [row for metric in bootstrap.METRICS if shares for row in _of_shares(metric, shares, resamples)]
    found += [_of_errors(one, resamples, own_seed) for own_seed, one in numbered if one.task.name == REGRESSION]
    order = ["", *(one.attribute for one in joined)]
    return sorted(found, key=lambda row: order.index(row.attribute))


def _of_shares(metric: str, numbered: Sequence[tuple[int, Joined]], resamples: int) -> list[Paired]:
    values = [_values(one, metric) for _, one in numbered]
    draws = [_drawn(one, metric, resamples, own_seed) for own_seed, one in numbered]
    total = _total(metric, values, draws, sum(len(one.label) for _, one in numbered))
    return [total] + [
        _row(one.attribute, metric, pair, _interval(pair, difference), len(one.label))
        for (_, one), pair, difference in zip(numbered, values, draws, strict=True)
    ]


def _of_errors(one: Joined, resamples: int, seed: int) -> Paired:
    """Mean absolute errors, in the labels' unit: less is better, so a difference below zero is the gain."""
    if not one.label:
        return _row(one.attribute, ERROR, (math.nan, math.nan), _UNDEFINED, 0)
    first, second = (judging.own_measures(one.task, values, one.label)[ERROR] for values in (one.first, one.second))
    # The lead of the first: how much larger the second's error is.
    found = judging.compared(
        one.task, (one.first, one.second), one.label, one.group, metric=ERROR, resamples=resamples, seed=seed
    )
    turned = {bootstrap.GAIN: bootstrap.LOSS, bootstrap.LOSS: bootstrap.GAIN}
    found = replace(found, verdict=turned.get(found.verdict, found.verdict))
    return _row(one.attribute, ERROR, (first, second), found, len(one.label))


def overlap(one: Joined) -> Overlap:
    """How far the validation sets are the same."""
    counts = one.counts
    return Overlap(
        one.attribute, counts["first"], counts["second"], len(one.label), counts["relabelled"], counts["trained_on"]
    )


def _values(one: Joined, metric: str) -> tuple[float, float]:
    labels, _ = judging.decided(one.task, one.label, one.group)
    first, second = (bootstrap.exact(judging.decisions(one.task, p), labels, metric) for p in (one.first, one.second))
    return first, second


def _drawn(one: Joined, metric: str, resamples: int, seed: int) -> Draws:
    labels, groups = judging.decided(one.task, one.label, one.group)
    first, second = (
        bootstrap.resampled(judging.decisions(one.task, p), labels, groups, metric, resamples, seed)
        for p in (one.first, one.second)
    )
    return second - first


def _total(metric: str, values: Sequence[tuple[float, float]], draws: Sequence[Draws], pictures: int) -> Paired:
    """The mean over attributes that define the metric in both runs, whatever their sizes, resample by resample."""
    defined = [i for i, pair in enumerate(values) if not any(map(math.isnan, pair))]
    name = IN_TOTAL.get(metric, metric)
    if not defined:
        return _row("", name, (math.nan, math.nan), _UNDEFINED, pictures)
    first, second = (math.fsum(values[i][end] for i in defined) / len(defined) for end in (0, 1))
    mean = np.mean([draws[i] for i in defined], axis=0)
    return _row("", name, (first, second), _interval((first, second), mean), pictures)


def _interval(pair: tuple[float, float], draws: Draws) -> Interval:
    return bootstrap.interval(pair[1] - pair[0], draws)


def _row(attribute: str, metric: str, pair: tuple[float, float], found: Interval, pictures: int) -> Paired:
    return Paired(
        attribute,
        metric,
        first=_or_none(pair[0]),
        second=_or_none(pair[1]),
        difference=_or_none(found.difference),
        low=_or_none(found.low),
        high=_or_none(found.high),
        verdict=SAME if found.is_zero else found.verdict,
        pictures=pictures,
    )


def _or_none(value: float) -> float | None:
    return round(float(value), 10) if math.isfinite(value) else None

"""How big is noise: bootstrap intervals of the contest metric, resampled over duplicate groups. numpy only.

A resample draws as many groups as there are, with replacement, so a row enters with a whole-number weight. Ranking the
rows once and weighting them afterwards costs two cumulative sums per resample instead of a sort, and is exactly the
metric of the repeated rows: equal confidences enter together. Two values drawn with the same seed, rows and groups see
the same resamples, which is what makes a difference *paired*.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.errors import DataError
from components.vision import metrics
from components.vision.metrics import Floats, Outcomes

GAIN, NOISE, LOSS, UNKNOWN = "gain", "noise", "loss", "unknown"
METRICS = ("ap", "basic_precision", "accuracy")
RESAMPLES = 1000
_CELLS_AT_ONCE = 2_000_000  # weights held in memory: 16 MB

Groups = npt.NDArray[np.int64] | None
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A difference (first minus second) with its 95 % percentile interval.

    Attributes:
        difference: on the rows themselves. NaN, as its ends, where it is not defined or no resample defines it: a
            difference without an interval says nothing, so it is never shown.
        low: 2.5 % quantile over the resamples.
        high: 97.5 % quantile.
        verdict: `gain` when low > 0, `loss` when high < 0, `noise` between, `unknown` where it is NaN.
    """

    difference: float
    low: float
    high: float
    verdict: str

    @property
    def is_zero(self) -> bool:
        """No resample tells the two apart, as when one result is compared with itself."""
        return self.difference == self.low == self.high == 0


def paired_bootstrap(
    first: Floats,
    second: Floats,
    labels: Sequence[str],
    groups: Groups = None,
    metric: str = "ap",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Compares two predictions of the same rows.

    Args:
        first: (n, K) float64 probabilities.
        second: (n, K) float64 probabilities of the same rows.
        labels: n strings of y, m, n.
        groups: (n,) numbers; rows of one group are drawn together. None: every row is its own.
        metric: one of METRICS.
        resamples: how many.
        seed: of the draws.
    """
    draws = [resampled(p, labels, groups, metric, resamples, seed) for p in (first, second)]
    return interval(exact(first, labels, metric) - exact(second, labels, metric), draws[0] - draws[1])


def interval(difference: float, draws: Floats) -> Interval:
    """The verdict on a difference whose resampled values are `draws` (NaN ones are left out)."""
    low, high = quantiles(draws)
    if not np.isfinite([difference, low, high]).all():
        return Interval(np.nan, np.nan, np.nan, UNKNOWN)
    verdict = GAIN if low > 0 else LOSS if high < 0 else NOISE
    return Interval(float(difference), low, high, verdict)


def quantiles(draws: Floats) -> tuple[float, float]:
    """The 95 % percentile interval of resampled values; NaN, NaN when none is defined."""
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)


def exact(probabilities: Floats, labels: Sequence[str], metric: str = "ap") -> float:
    """The metric of the rows as they are; NaN when undefined, also for no rows."""
    _check(metric)
    return float(getattr(metrics.average_precision(probabilities, labels), metric)) if len(labels) else float("nan")


def _check(metric: str) -> None:
    if metric not in METRICS:
        raise DataError(f"metric={metric!r} is not known; expected one of {', '.join(METRICS)}")


def resampled(
    probabilities: Floats,
    labels: Sequence[str],
    groups: Groups = None,
    metric: str = "ap",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Floats:
    """(resamples,) values of the metric, NaN where a resample leaves it undefined. See `paired_bootstrap`."""
    _check(metric)
    if not len(labels):
        return np.full(resamples, np.nan)
    value = _VALUES[metric](*metrics.judged(probabilities, labels))
    return np.concatenate([value(weights) for weights in _weights(len(labels), groups, resamples, seed)])


def redrawn(
    value: Callable[[npt.NDArray[np.int64]], float], rows: int, groups: Groups, resamples: int, seed: int
) -> Floats:
    """(resamples,) values of any function of the drawn rows (positions, repeated); the same draws as `resampled`."""
    drawn = (np.repeat(np.arange(rows), w.astype(np.int64)) for w in _rowwise(_weights(rows, groups, resamples, seed)))
    return np.array([value(positions) for positions in drawn]) if rows else np.full(resamples, np.nan)


def _rowwise(chunks: Iterator[Weights]) -> Iterator[Weights]:
    for chunk in chunks:
        yield from chunk


def _weights(rows: int, groups: Groups, resamples: int, seed: int) -> Iterator[Weights]:
    """Chunks of (resamples, rows) weights: how often each row is drawn."""
    members = np.arange(rows) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    size = int(members.max()) + 1
    rng = np.random.default_rng(seed)
    chunk = max(1, _CELLS_AT_ONCE // max(rows, size))
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn = rng.integers(0, size, (count, size)) + size * np.arange(count)[:, None]
        drawn_counts = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
        yield drawn_counts[:, members].astype(np.float64)


def _ap(confidence: Floats, outcome: Outcomes) -> Callable[[Weights], Floats]:
    order = np.argsort(-confidence, kind="stable")
    ends = metrics.tie_ends(confidence[order])
    right, counted = outcome[order] == metrics.RIGHT, outcome[order] != metrics.FUZZY

    def value(weights: Weights) -> Floats:
        ranked = weights[:, order]
        hits = np.cumsum(ranked * right, axis=1)[:, ends]
        reached = np.cumsum(ranked * counted, axis=1)[:, ends]
        valid = reached > 0
        precision = np.divide(hits, reached, out=np.zeros_like(hits), where=valid)
        return _ratio((ranked * precision).sum(axis=1), (ranked * valid).sum(axis=1))

    return value


def _basic_precision(confidence: Floats, outcome: Outcomes) -> Callable[[Weights], Floats]:
    reached = confidence >= 0
    right = (reached & (outcome == metrics.RIGHT)).astype(np.float64)
    counted = (reached & (outcome != metrics.FUZZY)).astype(np.float64)
    return lambda weights: _ratio(weights @ right, weights @ counted)


def _accuracy(_: Floats, outcome: Outcomes) -> Callable[[Weights], Floats]:
    right = (outcome == metrics.RIGHT).astype(np.float64)
    return lambda weights: _ratio(weights @ right, weights.sum(axis=1))


_VALUES = {"ap": _ap, "basic_precision": _basic_precision, "accuracy": _accuracy}


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)

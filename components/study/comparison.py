"""How variants differ, and how far chance alone would carry them apart.

Two things are left to chance: which pictures judge, and which seed a training had. Both are resampled:

* pictures: duplicate groups are drawn with replacement, the same draw for every network, which makes it paired;
* seeds: of each variant as many networks as it has are drawn with replacement, independently of the other variant (a
  seed means nothing common to two different networks), by their metric on all pictures; the deviation from the
  variant's mean is added.

With a handful of seeds the second alone would be too narrow: a draw among S values spreads by (S - 1) / S of their
variance, and the normal distribution knows nothing of an estimate from few. So what the seeds add is widened by
sqrt(S / (S - 1)) and by Student's t over the normal quantile, 2 (S - 1) degrees of freedom (the idea of Hesterberg's
expanded percentile interval, 2015, The American Statistician 69:371). A single seed shows nothing of what another
would give: the interval is then of the pictures alone, and the page says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from components.study.settings import Settings
from components.study.trials import SPLITS, Trial, Variant
from components.vision import bootstrap
from components.vision.bootstrap import Interval
from components.vision.metrics import Floats

METHOD = (
    "Pictures are drawn with replacement, copies of one picture together and the same draw for every network, so that "
    "the difference is paired. Of each variant's S seeds S are drawn with replacement, independently of the base's. "
    "What the seeds add is widened by sqrt(S/(S-1)) and by Student's t with 2(S-1) degrees of freedom over the normal "
    "quantile, because a bootstrap of a few values is too narrow. The interval holds 95 % of the differences of the "
    "resamples. A single seed adds nothing: then the interval is of the pictures alone."
)


@dataclass(frozen=True)
class Measured:
    """One variant on one split.

    Attributes:
        values: seed to the metric, the mean over the attributes.
        difference: mean minus the base's mean, with its interval; None for the base itself, and where there is no
            interval.
    """

    values: dict[int, float]
    difference: Interval | None

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(list(self.values.values())))

    @property
    def sd(self) -> float:
        """Standard deviation over the seeds (with S - 1); NaN for a single one."""
        return float(np.std(list(self.values.values()), ddof=1)) if len(self.values) > 1 else math.nan


@dataclass(frozen=True)
class _Sample:
    """Metric of one variant: (S,) as it is, (S, R) resampled over pictures."""

    exact: Floats
    drawn: Floats


def compare(variants: Sequence[Variant], settings: Settings, seed: int) -> list[dict[str, Measured]]:
    """Measures every variant and its difference to the first one.

    Args:
        variants: the base first.
        settings: metric and number of resamples.
        seed: of the draws.

    Returns:
        For every variant, split (`valid`, and `test` where labels are known) to what was measured.
    """
    found: list[dict[str, Measured]] = [{} for _ in variants]
    for split in SPLITS:
        samples = [_sample(variant, split, settings, seed) for variant in variants]
        for number, (variant, sample) in enumerate(zip(variants, samples, strict=True)):
            if not len(sample.exact):
                continue
            against = difference(sample, samples[0], seed + number) if number else None
            against = None if against and against.verdict == bootstrap.UNKNOWN else against
            found[number][split] = Measured(dict(zip(variant.trials, map(float, sample.exact), strict=True)), against)
    return found


def difference(first: _Sample, second: _Sample, seed: int) -> Interval:
    """First minus second with the interval over pictures and seeds that this module's head describes."""
    rng = np.random.default_rng(seed)
    pictures = first.drawn.mean(axis=0) - second.drawn.mean(axis=0)
    seeds = _deviations(first.exact, len(pictures), rng) - _deviations(second.exact, len(pictures), rng)
    return bootstrap.interval(float(first.exact.mean() - second.exact.mean()), pictures + seeds)


def widening(seeds: int) -> float:
    """What the spread over so many seeds is multiplied by; see the head of this module."""
    if seeds < 2:
        return 1.0
    student = stats.t.ppf(0.975, 2 * (seeds - 1)) / stats.norm.ppf(0.975)
    return float(math.sqrt(seeds / (seeds - 1)) * student)


def _deviations(values: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """(R,) widened deviations from the mean of (S,) values that drawing S of them with replacement makes."""
    drawn: Floats = rng.choice(values, (resamples, len(values))).mean(axis=1)
    return widening(len(values)) * (drawn - values.mean())


def _sample(variant: Variant, split: str, settings: Settings, seed: int) -> _Sample:
    per_seed = [[trial for trial in trials if trial.rows[split].label] for trials in variant.trials.values()]
    per_seed = [trials for trials in per_seed if trials]
    exact = [np.mean([_exact(t, split, settings.metric) for t in trials]) for trials in per_seed]
    drawn = [
        np.mean([_drawn(t, split, settings, seed + place) for place, t in enumerate(trials)], axis=0)
        for trials in per_seed
    ]
    return _Sample(np.array(exact, dtype=np.float64), np.array(drawn, dtype=np.float64))


def _exact(trial: Trial, split: str, metric: str) -> float:
    rows = trial.rows[split]
    return bootstrap.exact(rows.probability, rows.label, metric)


def _drawn(trial: Trial, split: str, settings: Settings, seed: int) -> Floats:
    rows = trial.rows[split]
    return bootstrap.resampled(rows.probability, rows.label, rows.group, settings.metric, settings.resamples, seed)

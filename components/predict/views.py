"""The mean over the views of a picture, with weights that earned their place. numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.predict.settings import Settings
from components.vision import bootstrap, calibration, fusion, tasks
from components.vision.bootstrap import Interval
from components.vision.metrics import Floats

LEAST_GROUPS = 50  # validation pictures that differ; with fewer the comparison out of fold says nothing


@dataclass(frozen=True)
class Weighting:
    """How views are averaged.

    Attributes:
        weights: (v,) float64 on the simplex, for pictures nobody labelled.
        kind: `fitted` or `equal`.
        why: the reason in words.
        valid: (n, K) float64, the mean of the validation rows; where weights are fitted, with those of the other half.
        against_equal: fitted against equal weights, out of fold; None where nothing was fitted.
    """

    weights: Floats
    kind: str
    why: str
    valid: Floats
    against_equal: Interval | None


def choose(
    valid: Floats, labels: Sequence[str], groups: npt.NDArray[np.int64], settings: Settings, seed: int
) -> Weighting:
    """Fits the weights and keeps them unless they lose against equal ones out of fold.

    Args:
        valid: (v, n, K) float64 probabilities of the validation rows, n may be 0.
        labels: n strings of y, m, n.
        groups: (n,) duplicate components; halves and resamples never cut one.
        settings: knobs `weights`, `mean`, `resamples`.
        seed: of halves and resamples.
    """
    if settings.weights == "equal" or len(valid) == 1:
        return evenly(valid, "as the settings say" if len(valid) > 1 else "one view", settings.mean)
    if len(np.unique(groups)) < LEAST_GROUPS:
        return evenly(valid, "too few validation rows to fit weights", settings.mean)
    equal = fusion.equal_weights(len(valid))
    plain_mean = fusion.weighted_mean(valid, equal, settings.mean)

    def fit(stack: Floats, known: Sequence[str]) -> Floats:
        return fusion.fit_weights(stack, known, settings.mean)

    honest = fusion.cross_fitted(valid, labels, groups, fit, mean=settings.mean, seed=seed)
    found = bootstrap.paired_bootstrap(honest, plain_mean, labels, groups, "ap", settings.resamples, seed)
    if found.verdict == bootstrap.LOSS:
        return Weighting(equal, "equal", "fitted weights lose out of fold", plain_mean, found)
    return Weighting(fit(valid, labels), "fitted", "fitted weights do not lose out of fold", honest, found)


def evenly(valid: Floats, why: str, mean: str = "arithmetic") -> Weighting:
    """All views alike."""
    equal = fusion.equal_weights(len(valid))
    return Weighting(equal, "equal", why, fusion.weighted_mean(valid, equal, mean), None)


def calibrated(mean: Floats, labels: Sequence[str]) -> dict[str, float]:
    """Temperature of the mean and the calibration error before and after it; empty without labelled rows."""
    if not len(labels):
        return {}
    logits = tasks.logits_of(tasks.TASKS[tasks.ONE_OF_K], mean)
    temperature = calibration.fit_temperature(logits, labels)
    return {
        "temperature": temperature,
        "ece_before": calibration.expected_calibration_error(mean, labels),
        "ece_after": calibration.expected_calibration_error(calibration.softmax(logits, temperature), labels),
    }

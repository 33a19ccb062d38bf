"""Honest probabilities: softmax, expected calibration error, temperature scaling (Guo et al. 2017). numpy and scipy.

Calibration is not for winning mAP, which only looks at the order of the confidences; it is for thresholds on
pseudo-labels and for fusing models of different sharpness.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from components.vision import metrics
from components.vision.metrics import Floats

BINS = 15
_LOWEST, _HIGHEST = 0.05, 20.0  # temperatures outside of this mean a broken model, not a sharp one


@dataclass(frozen=True)
class Bin:
    """One row of a reliability table.

    Attributes:
        low: lower edge of the confidence, exclusive except for 0.
        high: upper edge, inclusive.
        count: rows in the bin.
        confidence: their mean confidence; NaN when empty.
        accuracy: their share answered with the class marked `y`; NaN when empty.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """(..., K) float64 probabilities that sum to 1 over the last axis, from unnormalised logits of any float dtype."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def reliability(probabilities: Floats, labels: Sequence[str], bins: int = BINS) -> list[Bin]:
    """Confidence against accuracy in `bins` bins of equal width over [0, 1].

    Args:
        probabilities: (n, K) float64 in [0, 1].
        labels: n strings of y, m, n.
        bins: how many.
    """
    if not len(labels):
        return []
    confidence, outcome = metrics.judged(probabilities, labels)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidences = np.bincount(place, weights=confidence, minlength=bins) / count
        accuracies = np.bincount(place, weights=outcome == metrics.RIGHT, minlength=bins) / count
    edges = np.arange(bins + 1) / bins
    return [
        Bin(float(edges[b]), float(edges[b + 1]), int(count[b]), float(confidences[b]), float(accuracies[b]))
        for b in range(bins)
    ]


def expected_calibration_error(probabilities: Floats, labels: Sequence[str], bins: int = BINS) -> float:
    """Mean distance of confidence and accuracy over the bins, weighted by their rows; NaN without rows."""
    table = [b for b in reliability(probabilities, labels, bins) if b.count]
    total = sum(b.count for b in table)
    return sum(b.count * abs(b.confidence - b.accuracy) for b in table) / total if total else float("nan")


def log_loss(probabilities: Floats, labels: Sequence[str]) -> float:
    """Mean negative log-likelihood of the classes marked `y`, in nats; NaN where no row has one."""
    truth = metrics.true_classes(labels)
    known = np.flatnonzero(truth >= 0)
    if not len(known):
        return float("nan")
    return float(-np.log(np.maximum(probabilities[known, truth[known]], 1e-15)).mean())


def fit_temperature(logits: Floats, labels: Sequence[str]) -> float:
    """The temperature T > 0 that minimises the log-loss of softmax(logits / T) on validation rows; 1.0 without rows.

    Args:
        logits: (n, K) float64.
        labels: n strings of y, m, n.
    """
    if not len(labels) or not (metrics.true_classes(labels) >= 0).any():
        return 1.0
    found = minimize_scalar(
        lambda t: log_loss(softmax(logits, float(np.exp(t))), labels),
        bounds=(np.log(_LOWEST), np.log(_HIGHEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))

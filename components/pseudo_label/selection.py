"""Which candidates become pseudo-labels, and how right they are likely to be. Pure: arrays in, arrays out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.pseudo_label.settings import Settings
from components.vision import metrics
from components.vision.metrics import Floats

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """The chosen candidates.

    Attributes:
        chosen: (c,) positions among the candidates, ascending.
        confident: (K,) candidates of each class that met the rule, before any cap.
        selected: (K,) those that are left.
        thresholds: (K,) least confidence among the selected of a class; infinite where none is.
    """

    chosen: Places
    confident: Places
    selected: Places
    thresholds: Floats


@dataclass(frozen=True)
class Precision:
    """How often a label chosen like this is right, estimated on validation rows; rows answered with `m` do not count.

    Attributes:
        value: NaN where no validation row meets the thresholds.
        low: lower end of the 95 % Wilson interval, which stays honest where all of a few rows are right.
        high: upper end.
        rows: validation rows that meet the thresholds and count.
    """

    value: float
    low: float
    high: float
    rows: int


def prior_of(labels: Sequence[str], classes: int) -> Floats:
    """(K,) share of each class. Folds are stratified, so validation rows have the prior of the training rows."""
    truth = metrics.true_classes(labels)
    counts = np.bincount(truth[truth >= 0], minlength=classes).astype(np.float64)
    return counts / counts.sum() if counts.sum() else counts


def select(probabilities: Floats, prior: Floats, limit: int, settings: Settings) -> Selection:
    """Applies the rule, the caps and the limit; within a class the most confident stay, on a tie the first.

    Args:
        probabilities: (n, K) float64 of the candidates.
        prior: (K,) shares; a class without any gets no pseudo-label, unless `balance` is 0.
        limit: most rows of all classes together.
        settings: knobs `rule`, `threshold`, `percentile`, `balance`.
    """
    classes = len(prior)
    answer, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    ranked = [_ranked(np.flatnonzero(answer == k), confidence, settings) for k in range(classes)]
    confident = np.array([len(places) for places in ranked], dtype=np.int64)
    quota = _quota(confident, prior, limit, settings.balance)
    kept = [places[:q] for places, q in zip(ranked, quota, strict=True)]
    return Selection(
        chosen=np.sort(np.concatenate(kept)).astype(np.int64),
        confident=confident,
        selected=np.array([len(places) for places in kept], dtype=np.int64),
        thresholds=np.array([confidence[places[-1]] if len(places) else np.inf for places in kept]),
    )


def estimated_precision(probabilities: Floats, labels: Sequence[str], thresholds: Floats) -> Precision:
    """Precision of the validation rows that would have been chosen.

    Args:
        probabilities: (n, K) float64 of validation rows.
        labels: n strings of y, m, n.
        thresholds: (K,) as selected.
    """
    meets = probabilities.max(axis=1) >= thresholds[probabilities.argmax(axis=1)]
    known = [label for label, inside in zip(labels, meets, strict=True) if inside]
    outcome = metrics.judged(probabilities[meets], known)[1] if known else np.empty(0, dtype=np.int8)
    right, rows = int((outcome == metrics.RIGHT).sum()), int((outcome != metrics.FUZZY).sum())
    if not rows:
        return Precision(math.nan, math.nan, math.nan, 0)
    return Precision(right / rows, *_wilson(right, rows), rows)


def sharpened(probabilities: Floats, temperature: float) -> Floats:
    """Soft targets: p^(1/T), rows summing to 1; T = 1 changes nothing. (n, K) float64."""
    powered = probabilities ** (1 / temperature)
    return np.asarray(powered / powered.sum(axis=1, keepdims=True))


def _ranked(places: Places, confidence: Floats, settings: Settings) -> Places:
    """The confident ones of a class, most confident first."""
    order = places[np.argsort(-confidence[places], kind="stable")]
    if settings.rule == "percentile":
        return order[: int(len(order) * settings.percentile / 100)]
    return order[confidence[order] >= settings.threshold]


def _quota(confident: Places, prior: Floats, limit: int, balance: float) -> Places:
    """Most rows of each class: its prior share of the confident ones, all scaled down together to the limit."""
    total = int(confident.sum())
    capped = np.minimum(confident, np.floor(balance * prior * total + 0.5)) if balance else confident.astype(np.float64)
    share = min(1.0, limit / capped.sum()) if capped.sum() else 0.0
    return np.floor(capped * share).astype(np.int64)


def _wilson(right: int, rows: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    z = 1.959964
    centre = (right + z * z / 2) / (rows + z * z)
    half = z / (rows + z * z) * math.sqrt(right * (rows - right) / rows + z * z / 4)
    return max(0.0, centre - half), min(1.0, centre + half)

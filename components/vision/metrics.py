"""The contest's metric (Tianchi race 231649), in its four public readings, and plain accuracy. numpy only.

For every row the largest probability is its confidence, the class that holds it its answer (on a tie the lowest index).
Rows below a threshold are blocked; of the others one whose answer is marked `y` is right, `n` wrong, `m` neither:
it appears in no count. P(threshold) = right / (right + wrong); AP is the mean of P over "all possible thresholds",
which public code reads in four ways:

* `per_item` (default): the confidence of every row, repeats counted, rows with `m` included.
* `distinct`: every distinct confidence once.
* `rank`: rows without `m` sorted by confidence (ties: row order), the mean of the running precision.
* `grid`: 0, 0.001, ..., 0.999, as far as something is not blocked.

Where the official text is silent: a threshold that leaves neither right nor wrong is skipped; an attribute without any
other threshold is undefined (NaN) and left out of the mean. Rows are never renormalised, so they need not sum to 1.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.errors import DataError

READINGS = ("per_item", "distinct", "rank", "grid")
RIGHT, WRONG, FUZZY = 1, 0, -1
# The public code's own floats: 700 * 0.001 is a little more than 0.7, and its published values depend on it.
GRID = np.arange(1000) * 0.001

Floats = npt.NDArray[np.float64]
Outcomes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Score:
    """The metric of one attribute.

    Attributes:
        ap: average precision in [0, 1]; NaN when undefined.
        basic_precision: precision at threshold 0, in [0, 1]; NaN when undefined.
        accuracy: share of rows whose answer is the class marked `y`; `m` counts as wrong here.
        count: rows.
        m_count: rows whose answer is marked `m`.
        skipped: thresholds left out because nothing but `m` rows reach them.
    """

    ap: float
    basic_precision: float
    accuracy: float
    count: int
    m_count: int
    skipped: int


@dataclass(frozen=True)
class Total:
    """The metric over attributes: unweighted means, whatever their sizes.

    Attributes:
        map: mean of the attributes' AP; NaN when none is defined.
        basic_precision: mean of their precision at threshold 0.
        accuracy: mean of their accuracies.
        count: rows of all attributes.
        undefined: attributes left out of the means.
    """

    map: float
    basic_precision: float
    accuracy: float
    count: int
    undefined: tuple[str, ...]


def average_precision(probabilities: Floats, labels: Sequence[str], reading: str = "per_item") -> Score:
    """Scores one attribute.

    Args:
        probabilities: (n, K) float64, any finite numbers: only the largest of a row and its place count.
        labels: n strings of K characters `y`, `m` or `n`.
        reading: one of READINGS.

    Raises:
        DataError: shapes that disagree, a number that is not finite, a label of wrong length or letters; names the row,
            counted from 1.
    """
    if reading not in READINGS:
        raise DataError(f"reading={reading!r} is not known; expected one of {', '.join(READINGS)}")
    confidence, outcome = judged(probabilities, labels)
    precisions, skipped = _READ[reading](confidence, outcome)
    reached = outcome[confidence >= 0]  # only a file of log-probabilities has confidences below 0
    return Score(
        ap=float(precisions.mean()) if len(precisions) else math.nan,
        basic_precision=_share(int((reached == RIGHT).sum()), int((reached != FUZZY).sum())),
        accuracy=_share(int((outcome == RIGHT).sum()), len(outcome)),
        count=len(outcome),
        m_count=int((outcome == FUZZY).sum()),
        skipped=skipped,
    )


def mean_over_attributes(scores: Mapping[str, Score]) -> Total:
    """The leaderboard's numbers: mAP and BasicPrecision. Warns about attributes that have none."""
    undefined = tuple(name for name, s in scores.items() if math.isnan(s.ap))
    if undefined:
        warnings.warn(f"left out of mAP, no row is right or wrong: {', '.join(undefined)}", stacklevel=2)
    return Total(
        map=_mean([s.ap for s in scores.values()]),
        basic_precision=_mean([s.basic_precision for s in scores.values()]),
        accuracy=_mean([s.accuracy for s in scores.values()]),
        count=sum(s.count for s in scores.values()),
        undefined=undefined,
    )


def judged(probabilities: Floats, labels: Sequence[str]) -> tuple[Floats, Outcomes]:
    """Reduces rows to what the metric looks at.

    Args:
        probabilities: (n, K) float64, finite.
        labels: n strings of K characters.

    Returns:
        (n,) confidence, and (n,) outcome: RIGHT, WRONG or FUZZY by the label's letter at the answer.

    Raises:
        DataError: as `average_precision`.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    letters = label_letters(labels, _classes(values, labels))
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise DataError(f"row {bad[0] + 1} holds a probability that is not a finite number; give numbers only")
    answer = values.argmax(axis=1)
    rows = np.arange(len(values))
    letter = letters[rows, answer]
    outcome = np.where(letter == ord("y"), RIGHT, np.where(letter == ord("n"), WRONG, FUZZY)).astype(np.int8)
    return values[rows, answer], outcome


def label_letters(labels: Sequence[str], classes: int) -> npt.NDArray[np.uint8]:
    """(n, K) uint8, the letters of the label strings in ASCII. Raises DataError naming the first wrong row, from 1."""
    for row, label in enumerate(labels, 1):
        if len(label) != classes or not label.isascii():
            raise DataError(f"row {row}: label {label!r} has {len(label)} characters; expected {classes} of y, m, n")
    letters = np.frombuffer("".join(labels).encode(), dtype=np.uint8).reshape(len(labels), classes)
    wrong = np.flatnonzero(~np.isin(letters, np.frombuffer(b"ymn", dtype=np.uint8)).all(axis=1))
    if len(wrong):
        raise DataError(f"row {wrong[0] + 1}: label {labels[wrong[0]]!r} holds other letters than y, m, n")
    return letters


def true_classes(labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """(n,) index of the first `y` of each label; -1 where there is none."""
    return np.array([label.find("y") for label in labels], dtype=np.int64)


def tie_ends(confidence: Floats) -> npt.NDArray[np.int64]:
    """For confidences in descending order: (n,) index of the last row with the same confidence as each row."""
    last = np.append(confidence[1:] != confidence[:-1], True) if len(confidence) else np.empty(0, dtype=bool)
    ends = np.flatnonzero(last)
    return ends[np.searchsorted(ends, np.arange(len(confidence)))]


def _classes(values: Floats, labels: Sequence[str]) -> int:
    if values.ndim != 2 or len(values) != len(labels) or not values.shape[1]:
        raise DataError(f"probabilities of shape {values.shape} for {len(labels)} labels; expected ({len(labels)}, K)")
    return int(values.shape[1])


def _counts(confidence: Floats, outcome: Outcomes) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Confidences in descending order (stable) and, for each, right and counted rows at or above it in the order."""
    order = np.argsort(-confidence, kind="stable")
    ranked = outcome[order]
    return confidence[order], np.cumsum(ranked == RIGHT), np.cumsum(ranked != FUZZY)


def _kept(right: npt.NDArray[np.int64], counted: npt.NDArray[np.int64]) -> tuple[Floats, int]:
    valid = counted > 0
    return right[valid] / counted[valid], int((~valid).sum())


def _per_item(confidence: Floats, outcome: Outcomes) -> tuple[Floats, int]:
    ranked, right, counted = _counts(confidence, outcome)
    ends = tie_ends(ranked)
    return _kept(right[ends], counted[ends])


def _distinct(confidence: Floats, outcome: Outcomes) -> tuple[Floats, int]:
    ranked, right, counted = _counts(confidence, outcome)
    ends = np.unique(tie_ends(ranked))
    return _kept(right[ends], counted[ends])


def _rank(confidence: Floats, outcome: Outcomes) -> tuple[Floats, int]:
    clear = outcome != FUZZY
    _, right, counted = _counts(confidence[clear], outcome[clear])
    return _kept(right, counted)


def _grid(confidence: Floats, outcome: Outcomes) -> tuple[Floats, int]:
    ranked, right, counted = _counts(confidence, outcome)
    reached = np.searchsorted(-ranked, -GRID, side="right")  # rows with confidence >= threshold
    last = reached[reached > 0] - 1
    return _kept(right[last], counted[last])


_READ = {"per_item": _per_item, "distinct": _distinct, "rank": _rank, "grid": _grid}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float]) -> float:
    defined = [v for v in values if not math.isnan(v)]
    return math.fsum(defined) / len(defined) if defined else math.nan

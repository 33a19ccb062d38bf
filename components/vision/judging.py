"""How the predictions of any task are judged. numpy only.

Where classes exclude each other, the contest's metric judges pictures. Where they don't, each (picture, class) is one
yes-or-no decision, and the same metric, intervals and calibration judge decisions: `decisions` lays them out as rows of
two exclusive classes, `in_classes` takes the answers back. On top, each task has the measure that its field uses:
mean average precision over classes (multi_label), mean distance in ranks (ordinal), MAE and RMSE (regression).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.vision import bootstrap, fusion, metrics
from components.vision.bootstrap import Interval
from components.vision.metrics import Floats
from components.vision.tasks import MULTI_LABEL, ORDINAL, REGRESSION, Task

_DECISION = {"y": "ny", "n": "yn", "m": "mm"}
Groups = npt.NDArray[np.int64]


def decisions(task: Task, probabilities: Floats) -> Floats:
    """Predictions as rows with exactly one right class.

    Args:
        task: of the attribute.
        probabilities: (..., n, K) float64, for instance a stack of several models.

    Returns:
        For multi_label (..., n * K, 2), "not this class, this class", the classes of a picture side by side; for any
        other task the same.
    """
    if task.name != MULTI_LABEL:
        return probabilities
    pairs = np.stack([1 - probabilities, probabilities], axis=-1)
    return pairs.reshape(*probabilities.shape[:-2], probabilities.shape[-2] * probabilities.shape[-1], 2)


def decided(task: Task, labels: Sequence[str], groups: Groups) -> tuple[list[str], Groups]:
    """Labels and duplicate groups of the rows that `decisions` makes; the classes of a picture are in one group."""
    if task.name != MULTI_LABEL:
        return list(labels), groups
    counts = np.array([len(label) for label in labels], np.int64)
    return [_DECISION[letter] for label in labels for letter in label], np.repeat(groups, counts)


def in_classes(task: Task, rows: Floats, classes: int) -> Floats:
    """Takes back `decisions`: (..., n * K, 2) -> (..., n, K)."""
    return rows[..., 1].reshape(*rows.shape[:-2], -1, classes) if task.name == MULTI_LABEL else rows


def fused(task: Task, stack: Floats, weights: Floats, mean: str = "arithmetic") -> Floats:
    """`fusion.weighted_mean` of any task: (m, n, K) -> (n, K). Numbers of a regression have the arithmetic mean only.

    Where classes don't exclude each other, each keeps its own odds: the geometric mean of a class knows no other class.
    """
    if task.name == REGRESSION:
        return fusion.weighted_mean(stack, weights)
    return in_classes(task, fusion.weighted_mean(decisions(task, stack), weights, mean), stack.shape[-1])


def compared(
    task: Task,
    pair: tuple[Floats, Floats],
    labels: Sequence[str],
    groups: Groups,
    *,
    metric: str,
    resamples: int,
    seed: int,
) -> Interval:
    """`bootstrap.paired_bootstrap` of any task: the first of the pair minus the second, above zero where it is better.

    Numbers are compared by their mean absolute error, whatever the metric.
    """
    if task.name != REGRESSION:
        letters, of_rows = decided(task, labels, groups)
        first, second = (decisions(task, p) for p in pair)
        return bootstrap.paired_bootstrap(first, second, letters, of_rows, metric, resamples, seed)
    errors, others = (np.abs(residuals(p, labels)) for p in pair)
    lead = others - errors
    draws = bootstrap.redrawn(lambda rows: float(lead[rows].mean()), len(labels), groups, resamples, seed)
    return bootstrap.interval(float(lead.mean()), draws)


def measures(task: Task, probabilities: Floats, labels: Sequence[str]) -> dict[str, float]:
    """All numbers of labelled pictures: ap, basic_precision, accuracy (but for regression), and the task's own.

    Args:
        task: of the attribute.
        probabilities: (n, K) float64.
        labels: n label strings, n at least 1.
    """
    if task.name == REGRESSION:
        return own_measures(task, probabilities, labels)
    letters, _ = decided(task, labels, np.zeros(len(labels), np.int64))
    score = metrics.average_precision(decisions(task, probabilities), letters)
    found = {"ap": score.ap, "basic_precision": score.basic_precision, "accuracy": score.accuracy}
    return found | own_measures(task, probabilities, labels)


def own_measures(task: Task, probabilities: Floats, labels: Sequence[str]) -> dict[str, float]:
    """What only this task is measured by; empty for one_of_k and binary, NaN where undefined."""
    if not len(labels):
        return {}
    if task.name == MULTI_LABEL:
        return {
            "class_map": mean_class_precision(probabilities, labels),
            "exact_match": exact_match(probabilities, labels),
        }
    if task.name == ORDINAL:
        return {"rank_error": rank_error(probabilities, labels)}
    if task.name == REGRESSION:
        errors = np.abs(residuals(probabilities, labels))
        return {"mae": float(errors.mean()), "rmse": float(np.sqrt((errors**2).mean()))}
    return {}


def residuals(values: Floats, labels: Sequence[str]) -> Floats:
    """(n,) predicted minus true, in the unit of the labels; values are (n, 1)."""
    return np.asarray(values[:, 0] - np.array([float(label) for label in labels]))


def rank_error(probabilities: Floats, labels: Sequence[str]) -> float:
    """Mean distance between the most probable rank and the true one, in ranks."""
    return float(np.abs(probabilities.argmax(axis=1) - metrics.true_classes(labels)).mean())


def exact_match(probabilities: Floats, labels: Sequence[str]) -> float:
    """Share of pictures with every class decided right at 0.5; a class marked `m` is right either way."""
    letters = np.array([list(label) for label in labels])
    return float((((probabilities >= 0.5) == (letters == "y")) | (letters == "m")).all(axis=1).mean())


def mean_class_precision(probabilities: Floats, labels: Sequence[str]) -> float:
    """Average precision of each class by its own ranking of the pictures, averaged over the classes that occur.

    The usual mAP of multi-label work: precision at each threshold times the recall that it adds. Equal probabilities
    are one threshold, `m` is left out.
    """
    letters = np.array([list(label) for label in labels])
    found = [_class_precision(p, column) for p, column in zip(probabilities.T, letters.T, strict=True)]
    defined = [value for value in found if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _class_precision(probability: Floats, letters: npt.NDArray[np.str_]) -> float:
    known = letters != "m"
    order = np.argsort(-probability[known], kind="stable")
    hits = (letters[known] == "y")[order]
    if not hits.any():
        return float("nan")
    ends = metrics.tie_ends(probability[known][order])
    precision = np.cumsum(hits)[ends] / (ends + 1)
    return float(precision[hits].mean())

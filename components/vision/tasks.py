"""The task table: what an attribute asks of a picture decides the head, its loss, its targets and how it is judged.

| task          | a label says                    | outputs | activation           | loss                             |
|---------------|---------------------------------|---------|----------------------|----------------------------------|
| `one_of_k`    | one of K classes (or some `m`)  | K       | softmax              | categorical cross-entropy        |
| `binary`      | one of two classes              | 1       | sigmoid              | binary cross-entropy             |
| `multi_label` | any number of K classes         | K       | K sigmoids           | binary cross-entropy             |
| `ordinal`     | one of K ranks, lowest first    | K - 1   | sigmoids, cumulative | binary cross-entropy             |
| `regression`  | a number                        | 1       | linear               | mean squared error, standardised |

Between the network and everybody else stand K numbers a picture, whatever the head: *class logits* and probabilities.
So predictions, ensembles and reports of the tasks whose classes exclude each other are all read alike. numpy only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from components.vision.calibration import softmax
from components.vision.metrics import Floats

ONE_OF_K, BINARY, MULTI_LABEL, ORDINAL, REGRESSION = "one_of_k", "binary", "multi_label", "ordinal", "regression"
CARRIED = ("task",)
"""What an index says about the task of its attribute; `one_of_k` goes without saying."""
_SMALLEST = 1e-300  # log stays finite where a sigmoid underflows


@dataclass(frozen=True)
class Task:
    """One row of the table.

    Attributes:
        name: of the task.
        loss: key of `losses.LOSSES`.
        is_exclusive: exactly one class is right, and the probabilities of a picture sum to 1.
        num_outputs: K -> numbers that the network gives for a picture.
        encode: (n, K) float64 soft targets -> (n, outputs), what the loss compares the outputs with.
        class_logits: (..., outputs) float64 of the network -> (..., K).
        probabilities: (..., K) class logits -> (..., K); the values themselves for regression.
    """

    name: str
    loss: str
    is_exclusive: bool
    num_outputs: Callable[[int], int]
    encode: Callable[[Floats], Floats]
    class_logits: Callable[[Floats], Floats]
    probabilities: Callable[[Floats], Floats]


def of(content: Mapping[str, Any]) -> Task:
    """The task of an attribute as an index (of shards, checkpoint, predictions or ensemble) tells it.

    A checkpoint of a regression says besides by which mean and spread (`scale`) its head learnt the numbers.
    """
    task = TASKS[content.get("task", ONE_OF_K)]
    if "scale" not in content:
        return task
    mean, spread = content["scale"]
    encode, restore = partial(_standardised, mean=mean, spread=spread), partial(_restored, mean=mean, spread=spread)
    return replace(task, encode=encode, class_logits=restore)


def carried(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the next index must repeat so that `of` still knows the task."""
    return {name: content[name] for name in CARRIED if name in content}


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-z)) without overflow; float64 in and out."""
    powers = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, powers) / (1 + powers)


def logits_of(task: Task, probabilities: Floats) -> Floats:
    """Class logits whose probabilities are the given ones, for instance a mean of several. (..., K) float64."""
    if task.name == REGRESSION:
        return probabilities
    logs = np.log(np.maximum(probabilities, _SMALLEST))
    return logs if task.is_exclusive else logs - np.log(np.maximum(1 - probabilities, _SMALLEST))


def cumulative(soft: Floats) -> Floats:
    """(n, K) shares of ranks -> (n, K - 1): the share above each rank but the last; never rises along a row."""
    return np.asarray(np.cumsum(soft[:, :0:-1], axis=1)[:, ::-1])


def ranks(outputs: Floats) -> Floats:
    """Log-probabilities of K ranks from K - 1 logits of "above rank k".

    Sigmoids learnt one by one may contradict each other (above 3 more likely than above 2). The running minimum is the
    nearest curve from below that does not, so no rank gets less than nothing. Source of the cumulative head: Frank and
    Hall 2001; Niu et al., CVPR 2016.

    Args:
        outputs: (..., K - 1) float64.

    Returns:
        (..., K) float64, logarithms of numbers that sum to 1.
    """
    above = np.minimum.accumulate(sigmoid(outputs), axis=-1)
    ends = [np.ones_like(above[..., :1]), above, np.zeros_like(above[..., :1])]
    return np.log(np.maximum(-np.diff(np.concatenate(ends, axis=-1), axis=-1), _SMALLEST))


def _two_classes(outputs: Floats) -> Floats:
    """One logit as two whose softmax is its sigmoid."""
    return np.concatenate([np.zeros_like(outputs), outputs], axis=-1)


def _as_it_is(values: Floats) -> Floats:
    return values


def _standardised(values: Floats, mean: float, spread: float) -> Floats:
    return (values - mean) / spread


def _restored(outputs: Floats, mean: float, spread: float) -> Floats:
    return outputs * spread + mean


TASKS = {
    task.name: task
    for task in (
        Task(ONE_OF_K, "categorical_crossentropy", True, lambda k: k, _as_it_is, _as_it_is, softmax),
        Task(BINARY, "binary_crossentropy", True, lambda k: 1, lambda soft: soft[:, 1:], _two_classes, softmax),
        Task(MULTI_LABEL, "binary_crossentropy", False, lambda k: k, _as_it_is, _as_it_is, sigmoid),
        Task(ORDINAL, "binary_crossentropy", True, lambda k: k - 1, cumulative, ranks, softmax),
        Task(REGRESSION, "mean_squared_error", False, lambda k: 1, _as_it_is, _as_it_is, _as_it_is),
    )
}

"""Losses on logits and soft targets: in TensorFlow for training, in float64 numpy for reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf


def weighted_cross_entropy(logits: Any, targets: Any, weights: Any, count: Any) -> Any:
    """Sum of `weight * cross-entropy`, divided by a number of pictures.

    Dividing by pictures, not by their weights, keeps what a weight means: a picture of weight 0.5 moves the model half
    as much, also in a batch where all weights are small.

    Args:
        logits: (n, K) float32, unnormalised.
        targets: (n, K) float32, rows sum to 1.
        weights: (n,) float32.
        count: pictures of the whole batch, over all replicas, float32 scalar.

    Returns:
        float32 scalar, not negative.
    """
    losses = tf.nn.softmax_cross_entropy_with_logits(targets, tf.cast(logits, tf.float32))
    return tf.reduce_sum(losses * weights) / count


def weighted_binary_cross_entropy(logits: Any, targets: Any, weights: Any, count: Any) -> Any:
    """As `weighted_cross_entropy`, of independent yes-or-no outputs: a picture's loss is the mean over its outputs.

    Args:
        logits: (n, outputs) float32, unnormalised.
        targets: (n, outputs) float32 in 0..1.
        weights, count: as there.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=tf.cast(logits, tf.float32))
    return tf.reduce_sum(tf.reduce_mean(losses, axis=1) * weights) / count


def weighted_squared_error(outputs: Any, targets: Any, weights: Any, count: Any) -> Any:
    """As `weighted_cross_entropy`, of numbers: (n, outputs) float32 both, the mean square of their difference."""
    losses = tf.square(tf.cast(outputs, tf.float32) - targets)
    return tf.reduce_sum(tf.reduce_mean(losses, axis=1) * weights) / count


def weighted_focal(logits: Any, targets: Any, weights: Any, count: Any) -> Any:
    """As `weighted_cross_entropy`, but what is right already counts little: each class times (1 - p)^2.

    Source: Lin et al. 2017, arXiv:1708.02002, gamma 2, of a softmax.
    """
    logs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
    losses = -tf.reduce_sum(targets * (1 - tf.exp(logs)) ** 2 * logs, axis=1)
    return tf.reduce_sum(losses * weights) / count


def weighted_brier(logits: Any, targets: Any, weights: Any, count: Any) -> Any:
    """As `weighted_cross_entropy`, but the squared distance of probabilities and targets, 0..2 a picture."""
    losses = tf.reduce_sum((tf.nn.softmax(tf.cast(logits, tf.float32)) - targets) ** 2, axis=1)
    return tf.reduce_sum(losses * weights) / count


def num_right(logits: Any, targets: Any) -> Any:
    """Rows whose largest logit is their largest target, float32 scalar."""
    agree = tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1)
    return tf.reduce_sum(tf.cast(agree, tf.float32))


def num_decided(logits: Any, targets: Any) -> Any:
    """The sum over rows of the share of their outputs on the right side of a half, float32 scalar."""
    agree = (logits > 0) == (targets > 0.5)
    return tf.reduce_sum(tf.reduce_mean(tf.cast(agree, tf.float32), axis=1))


def none_right(logits: Any, targets: Any) -> Any:
    """Nothing is right or wrong about a number: always 0."""
    return tf.zeros((), tf.float32)


def kernel_penalty(variables: Sequence[Any]) -> Any:
    """Sum of squares of the kernels (biases and normalisation left out): what L2 multiplies."""
    kernels = [v for v in variables if len(v.shape) > 1]
    return tf.add_n([tf.reduce_sum(tf.square(tf.cast(v.value, tf.float32))) for v in kernels])


def mean_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean cross-entropy: (n, K) float64 logits, (n, K) targets whose rows sum to 1."""
    top = logits.max(axis=1, keepdims=True)
    log_sum = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return float((targets * (log_sum - logits)).sum(axis=1).mean())


def mean_binary_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean over rows and outputs: (n, outputs) float64 logits, (n, outputs) targets in 0..1."""
    return float((np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))).mean())


def mean_squared_error(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Mean over rows and outputs: (n, outputs) float64 both."""
    return float(((outputs - targets) ** 2).mean())


def mean_focal(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean of `weighted_focal`'s terms: (n, K) float64 logits, (n, K) targets whose rows sum to 1."""
    logs = _log_softmax(logits)
    return float(-(targets * (1 - np.exp(logs)) ** 2 * logs).sum(axis=1).mean())


def mean_brier(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean of `weighted_brier`'s terms: (n, K) float64 logits, (n, K) targets whose rows sum to 1."""
    return float(((np.exp(_log_softmax(logits)) - targets) ** 2).sum(axis=1).mean())


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


@dataclass(frozen=True)
class Loss:
    """A loss in both its forms, and what is counted as right while training.

    Attributes:
        weighted: for training, in TensorFlow.
        mean: the same of validation rows without weights, in numpy.
        right: rows that count as right, in TensorFlow.
        has_right: False where nothing is right or wrong, so that no accuracy is shown.
    """

    weighted: Callable[[Any, Any, Any, Any], Any]
    mean: Callable[[np.ndarray, np.ndarray], float]
    right: Callable[[Any, Any], Any]
    has_right: bool = True


LOSSES = {
    "categorical_crossentropy": Loss(weighted_cross_entropy, mean_cross_entropy, num_right),
    "binary_crossentropy": Loss(weighted_binary_cross_entropy, mean_binary_cross_entropy, num_decided),
    "mean_squared_error": Loss(weighted_squared_error, mean_squared_error, none_right, has_right=False),
    "focal": Loss(weighted_focal, mean_focal, num_right),
    "brier": Loss(weighted_brier, mean_brier, num_right),
}
"""The first three by the names that Keras gives them; `tasks` says which task has which. A recipe may ask for the rest
where one class is right."""

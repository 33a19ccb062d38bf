"""Losses on logits and soft targets: in TensorFlow for training, in float64 numpy for reports."""

from collections.abc import Sequence
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


def kernel_penalty(variables: Sequence[Any]) -> Any:
    """Sum of squares of the kernels (biases and normalisation left out): what L2 multiplies."""
    kernels = [v for v in variables if len(v.shape) > 1]
    return tf.add_n([tf.reduce_sum(tf.square(tf.cast(v.value, tf.float32))) for v in kernels])


def mean_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean cross-entropy: (n, K) float64 logits, (n, K) targets whose rows sum to 1."""
    top = logits.max(axis=1, keepdims=True)
    log_sum = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return float((targets * (log_sum - logits)).sum(axis=1).mean())

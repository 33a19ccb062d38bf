"""Gradient checking: what autodiff says against central differences, in float64, one direction for every variable.

Along a random unit direction d of one variable, `(L(v + h d) - L(v - h d)) / 2h` must equal `<dL/dv, d>`. In float64
rounding and curvature are below 1e-5 of a usual gradient for every h of STEPS; a wrong gradient is off by far more,
whatever h. A kink (relu, maximum pooling) between the two points spoils the difference of a large h only, so the best
of the steps counts. Gradients below SMALLEST are compared as if they were of that size: less is rounding.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.errors import StepError
from components.vision import backbones
from components.vision.model import precision_policy

STEPS = (1e-5, 1e-6, 1e-7)
SMALLEST = 1e-4
LARGEST_ERROR = 1e-4


def network_errors(
    backbone: str, size_px: int, network: Mapping[str, Any], pictures: np.ndarray, seed: int
) -> dict[str, float]:
    """Checks a backbone with fresh weights under a random linear read-out and cross-entropy.

    Args:
        backbone, size_px, network: see `backbones.build`; dropout is switched off, or no two losses would agree.
        pictures: (n, size_px, size_px, 3) uint8, n >= 2.
        seed: of weights, read-out and directions.

    Returns:
        Path of each trainable variable to its relative error, `|a - b| / max(|a|, |b|, SMALLEST)`.
    """
    still = {**network, "dropout": 0.0} if network.get("dropout") else network
    keras.utils.set_random_seed(seed)
    with precision_policy("float64"):
        model = backbones.build(backbone, size_px, "none", still)
    generator = np.random.default_rng(seed)
    width = int(np.prod(model.output_shape[1:]))
    read_out = tf.constant(generator.normal(0, width**-0.5, (width, 10)))
    targets = tf.one_hot(generator.integers(0, 10, len(pictures)), 10, dtype=tf.float64)
    given = tf.constant(pictures, tf.float64)

    def loss() -> Any:
        logits = tf.reshape(model(given, training=True), (len(pictures), width)) @ read_out
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))

    return errors(loss, [v.value for v in model.trainable_variables], generator)


def errors(loss: Any, variables: list[Any], generator: np.random.Generator) -> dict[str, float]:
    """Relative error of each variable's gradient of `loss`, a function of no argument, by the variable's path.

    A variable that autodiff says has nothing to do with the loss has a gradient of zeros.
    """
    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return {
        getattr(v, "path", v.name): _error(loss, v, g, generator) for v, g in zip(variables, gradients, strict=True)
    }


def refuse_wrong(found: Mapping[str, float]) -> str:
    """The worst error as a sentence. Raises StepError where it is larger than LARGEST_ERROR, or no number."""
    name = max(found, key=lambda path: math.inf if math.isnan(found[path]) else found[path])
    if not found[name] <= LARGEST_ERROR:
        raise StepError(
            f"gradient check: autodiff and finite differences of {name} differ by {found[name]:.1e} of their size, "
            f"at most {LARGEST_ERROR:g} is rounding; a layer of this network computes its gradient wrongly"
        )
    return f"gradient check: {len(found)} variables, largest relative error {found[name]:.1e}"


def _error(loss: Any, variable: Any, gradient: Any, generator: np.random.Generator) -> float:
    direction = generator.normal(size=variable.shape)
    direction /= np.linalg.norm(direction)
    there, exact = variable.numpy(), float(np.sum(gradient.numpy() * direction))
    found = []
    for step in STEPS:
        ahead, behind = (_at(loss, variable, there + sign * step * direction) for sign in (1, -1))
        numeric = (ahead - behind) / (2 * step)
        found.append(abs(numeric - exact) / max(abs(numeric), abs(exact), SMALLEST))
    variable.assign(there)
    return min(math.inf if math.isnan(error) else error for error in found)


def _at(loss: Any, variable: Any, value: np.ndarray) -> float:
    variable.assign(value)
    return float(loss())

"""Gradient checking: right gradients pass for every kind of layer of an own network, a wrong one is named."""

import numpy as np
import pytest
import tensorflow as tf

from components.errors import StepError
from components.vision import gradient_check

PICTURES = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)
SMALL = [{"filters": 4}, {"filters": 6, "stride": 2, "blocks": 2}]


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "gelu"},
        {"convolution": "full", "connection": "none", "normalisation": "none", "initialiser": "glorot_uniform"},
        {"convolution": "separable", "connection": "dense", "normalisation": "group", "head": "max"},
        {"normalisation": "layer", "scaling": "picture", "down": "average", "head": "flatten", "hidden": 5},
        {"scaling": "batch", "activation": "tanh", "down": "max", "dropout": 0.5},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_the_gradient_of_every_option_is_right(options: dict) -> None:
    found = gradient_check.network_errors("lean_17k", 12, {"stages": SMALL, **options}, PICTURES, seed=3)
    assert len(found) > 4 and max(found.values()) < gradient_check.LARGEST_ERROR
    assert gradient_check.refuse_wrong(found).startswith(f"gradient check: {len(found)} variables, largest relative")


def test_a_layer_that_computes_its_gradient_wrongly_is_named() -> None:
    @tf.custom_gradient
    def squared(x):
        return x**2, lambda upstream: upstream * x  # half of what is right

    right, wrong = (tf.Variable(np.arange(1.0, 4.0), name=name) for name in ("right", "wrong"))
    found = gradient_check.errors(
        lambda: tf.reduce_sum(right**2 + squared(wrong)), [right, wrong], np.random.default_rng(0)
    )
    errors = list(found.values())
    assert errors[0] < 1e-8 and errors[1] == pytest.approx(0.5, rel=1e-6)
    with pytest.raises(StepError, match=r"finite differences of wrong.* differ by 5.0e-01 of their size, at most"):
        gradient_check.refuse_wrong(found)


def test_what_is_checked_is_left_as_it_was() -> None:
    variable = tf.Variable([1.0, 2.0], dtype=tf.float64)
    gradient_check.errors(lambda: tf.reduce_sum(variable**3), [variable], np.random.default_rng(0))
    np.testing.assert_array_equal(variable.numpy(), [1.0, 2.0])


def test_a_kink_close_by_is_no_wrong_gradient() -> None:
    close = tf.Variable([2e-6, -3e-7], dtype=tf.float64, name="close")
    found = gradient_check.errors(lambda: tf.reduce_sum(tf.nn.relu(close)), [close], np.random.default_rng(0))
    assert max(found.values()) < gradient_check.LARGEST_ERROR


@pytest.mark.parametrize("found", [{"a": float("nan"), "b": 1e-9}, {"a": 1e-9, "b": float("nan"), "c": 1e-3}])
def test_what_is_no_number_is_wrong(found: dict[str, float]) -> None:
    with pytest.raises(StepError, match="of (a|b) differ by nan of their size"):
        gradient_check.refuse_wrong(found)


def test_a_loss_that_is_no_number_is_wrong() -> None:
    variable = tf.Variable([-1.0], dtype=tf.float64, name="below")
    found = gradient_check.errors(lambda: tf.reduce_sum(tf.sqrt(variable)), [variable], np.random.default_rng(0))
    with pytest.raises(StepError, match="of below.* differ by inf"):
        gradient_check.refuse_wrong(found)


def test_a_variable_that_the_loss_does_not_reach_has_a_gradient_of_zeros() -> None:
    used, idle, hidden = (tf.Variable([1.0, 2.0], dtype=tf.float64, name=name) for name in ("used", "idle", "hidden"))

    def loss():
        return tf.reduce_sum(used**2 + tf.stop_gradient(hidden))

    errors = list(gradient_check.errors(loss, [used, idle, hidden], np.random.default_rng(0)).values())
    assert max(errors[:2]) < gradient_check.LARGEST_ERROR
    assert errors[2] == pytest.approx(1.0), "the loss changes with it, and autodiff does not know"

"""Optimisers: one rate for the head, a share of it for the backbone, and a decay that follows the rate."""

import keras
import numpy as np
import pytest

from components.vision import optimisers

START = np.linspace(-1, 1, 4, dtype=np.float32).reshape(2, 2)


def stepped(kind, share=1.0, weight_decay=0.0, gradient=0.0):
    """A kernel and a bias after one step at rate 0.1 with the same gradient everywhere."""
    variables = [keras.Variable(START), keras.Variable(START[0])]
    optimiser = optimisers.build(kind, variables, [share, share], weight_decay=weight_decay, clip_norm=0.0)
    optimiser.learning_rate = 0.1
    optimiser.apply([keras.ops.full(v.shape, gradient) for v in variables], variables)
    return [v.numpy() for v in variables]


@pytest.mark.parametrize("kind", optimisers.KINDS)
def test_without_decay_and_gradient_nothing_moves(kind):
    kernel, bias = stepped(kind)
    np.testing.assert_array_equal(kernel, START)
    np.testing.assert_array_equal(bias, START[0])


@pytest.mark.parametrize("kind", optimisers.KINDS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_decay_shrinks_kernels_by_their_own_rate_and_never_biases(kind, share):
    kernel, bias = stepped(kind, share, weight_decay=0.5)
    np.testing.assert_allclose(kernel, START * (1 - 0.5 * 0.1 * share), rtol=1e-6)
    np.testing.assert_array_equal(bias, START[0])


@pytest.mark.parametrize("kind", optimisers.KINDS)
def test_a_share_of_the_rate_is_a_share_of_the_step(kind):
    whole, half, none = (stepped(kind, share, gradient=1.0)[0] - START for share in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(half, whole / 2, rtol=1e-5)
    assert (whole < 0).all() and not none.any()


def test_gradients_that_are_too_long_together_are_cut_to_the_largest_norm():
    variables = [keras.Variable(START), keras.Variable(START[0])]
    optimiser = optimisers.build("sgd", variables, [1.0, 1.0], weight_decay=0.0, clip_norm=1.0)
    optimiser.learning_rate = 0.1
    optimiser.apply([keras.ops.full(v.shape, 100.0) for v in variables], variables)
    moved = np.concatenate([(START - variables[0].numpy()).ravel(), START[0] - variables[1].numpy()])
    # Nesterov's first step is 1.9 times the plain one.
    np.testing.assert_allclose(np.linalg.norm(moved), 0.1 * 1.9, rtol=1e-5)
    np.testing.assert_allclose(moved, moved[0], rtol=1e-4)


def test_with_the_whole_rate_it_is_keras_own_decoupled_decay():
    ours, _ = stepped("adamw", weight_decay=0.2, gradient=1.0)
    variable = keras.Variable(START)
    theirs = keras.optimizers.AdamW(learning_rate=0.1, weight_decay=0.2)
    theirs.apply([keras.ops.ones((2, 2))], [variable])
    np.testing.assert_allclose(ours, variable.numpy(), rtol=1e-6)

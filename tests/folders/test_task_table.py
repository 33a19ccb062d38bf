"""The task table as laws: what the head gives, what the loss compares, and the probabilities that come out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import expit

from components.errors import DataError
from components.train import settings as train_settings
from components.vision import losses, targets, tasks
from pipeline.recipe_tables import Attribute

LOGITS = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6), elements=st.floats(-40, 40))
NUMBERS = {"task": "regression", "scale": [50.0, 4.0]}


def of(name):
    return tasks.of(NUMBERS if name == "regression" else {"task": name})


@pytest.mark.parametrize(
    ("name", "outputs", "loss"),
    [
        ("one_of_k", 5, "categorical_crossentropy"),
        ("binary", 1, "binary_crossentropy"),
        ("multi_label", 5, "binary_crossentropy"),
        ("ordinal", 4, "binary_crossentropy"),
        ("regression", 1, "mean_squared_error"),
    ],
)
def test_each_task_has_its_head_and_its_loss(name, outputs, loss):
    assert (of(name).num_outputs(5), of(name).loss) == (outputs, loss)
    assert of(name).loss in losses.LOSSES


def test_who_says_nothing_has_one_class_of_several_and_no_index_mentions_it():
    assert tasks.of({"classes": ["a", "b"]}).name == "one_of_k"
    assert tasks.carried({"classes": ["a", "b"]}) == {}
    assert tasks.carried(NUMBERS | {"classes": ["value"]}) == {"task": "regression"}, "only the head has a scale"


def test_a_recipe_may_ask_for_every_task_and_no_other():
    field = next(f for f in Attribute.__dataclass_fields__.values() if f.name == "task")
    assert set(field.metadata["choices"]) == {*tasks.TASKS, "auto"}


@given(LOGITS)
def test_one_sigmoid_is_two_probabilities_of_which_the_second_is_the_sigmoid(logits):
    column = logits[:, :1]
    found = of("binary").probabilities(of("binary").class_logits(column))
    np.testing.assert_allclose(found[:, 1], expit(column[:, 0]), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@given(LOGITS)
def test_sigmoids_agree_with_scipy_and_stay_between_0_and_1(logits):
    np.testing.assert_allclose(of("multi_label").probabilities(logits), expit(logits), atol=1e-15)


@given(LOGITS)
def test_ranks_are_never_negative_sum_to_one_and_their_tails_never_rise(outputs):
    probability = of("ordinal").probabilities(of("ordinal").class_logits(outputs))
    assert probability.shape[1] == outputs.shape[1] + 1
    assert (probability >= 0).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    above = 1 - np.cumsum(probability, axis=1)[:, :-1]
    assert (np.diff(above, axis=1) <= 1e-12).all()
    np.testing.assert_allclose(above, np.minimum.accumulate(expit(outputs), axis=1), atol=1e-9)


@given(st.integers(2, 7), st.data())
def test_cumulative_targets_say_how_much_lies_above_each_rank(classes, data):
    rank = data.draw(st.integers(0, classes - 1))
    hard = np.eye(classes)[[rank]]
    np.testing.assert_array_equal(tasks.cumulative(hard), [[float(rank > k) for k in range(classes - 1)]])


@pytest.mark.parametrize("policy", targets.POLICIES)
def test_a_class_that_might_be_there_is_a_half_under_every_policy(policy):
    np.testing.assert_array_equal(targets.task_targets("multi_label", ["ymn"], policy), [[1, 0.5, 0]])


def test_the_lowest_rank_of_the_task_ordinal_is_a_rank_like_the_others():
    found = targets.task_targets("ordinal", ["ynn", "nyn"], "ordinal", ordinal=True)
    near, far = np.exp(-1), np.exp(-2)
    np.testing.assert_allclose(found[0], np.array([1, near, far]) / (1 + near + far))
    np.testing.assert_allclose(found[1], np.array([near, 1, near]) / (1 + 2 * near))
    smooth = targets.task_targets("ordinal", ["ynn"], "ordinal", smoothing=0.3, ordinal=True)
    np.testing.assert_allclose(smooth[0], 0.7 * found[0] + 0.1)


def test_a_fuzzy_rank_becomes_a_soft_step():
    soft = targets.task_targets("ordinal", ["nymn"], "y60m40", ordinal=True)
    np.testing.assert_allclose(tasks.cumulative(soft), [[1.0, 0.4, 0.0]])


@given(arrays(np.float64, (4, 1), elements=st.floats(-1e6, 1e6)))
def test_numbers_are_learnt_around_zero_and_come_back_as_they_were(values):
    task = of("regression")
    np.testing.assert_allclose(task.class_logits(task.encode(values)), values, rtol=1e-12, atol=1e-9)


@given(LOGITS)
def test_the_logits_of_a_mean_give_the_mean_back(logits):
    for name in ("one_of_k", "multi_label"):
        probability = of(name).probabilities(logits)
        again = of(name).probabilities(tasks.logits_of(of(name), probability))
        np.testing.assert_allclose(again, probability, atol=1e-9)


@given(LOGITS, st.randoms(use_true_random=False))
def test_both_forms_of_a_loss_are_the_formula(logits, random):
    wanted = np.array([[random.random() for _ in row] for row in logits])
    by_hand = {
        "binary_crossentropy": -(
            wanted * np.log(np.maximum(expit(logits), 1e-300))
            + (1 - wanted) * np.log(np.maximum(expit(-logits), 1e-300))
        ),
        "mean_squared_error": (logits - wanted) ** 2,
    }
    ones = np.ones(len(logits), np.float32)
    for name, each in by_hand.items():
        loss = losses.LOSSES[name]
        assert loss.mean(logits, wanted) == pytest.approx(each.mean(), rel=1e-9, abs=1e-12)
        found = loss.weighted(logits.astype(np.float32), wanted.astype(np.float32), ones, np.float32(len(ones)))
        assert float(found) == pytest.approx(each.mean(), rel=1e-4, abs=1e-5)


def test_a_picture_weighs_in_a_binary_loss_as_its_weight_says():
    loss = losses.LOSSES["binary_crossentropy"].weighted
    logits, wanted = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    whole, half = (float(loss(logits, wanted, np.array([w, 0], np.float32), 2.0)) for w in (1.0, 0.5))
    assert whole == pytest.approx(np.log(2) / 2)
    assert half == pytest.approx(whole / 2)


def test_what_is_right_while_training_is_counted_as_the_task_sees_it():
    logits, wanted = np.array([[2.0, -1.0], [-1.0, -3.0]], np.float32), np.array([[1, 1], [0, 0.2]], np.float32)
    assert float(losses.LOSSES["binary_crossentropy"].right(logits, wanted)) == 1.5
    assert float(losses.LOSSES["mean_squared_error"].right(logits, wanted)) == 0
    assert not losses.LOSSES["mean_squared_error"].has_right


def test_several_classes_of_a_picture_are_targets_of_their_own():
    np.testing.assert_array_equal(targets.task_targets("multi_label", ["yny", "nnn"], "hard"), [[1, 0, 1], [0, 0, 0]])
    np.testing.assert_allclose(targets.task_targets("multi_label", ["yn"], "hard", smoothing=0.2), [[0.9, 0.1]])


@pytest.mark.parametrize(
    ("task", "label", "message"),
    [
        ("multi_label", "yx", "'yx' cannot be trained on; expected 2 letters of y, m, n"),
        ("binary", "yy", "with exactly one y"),
        ("regression", "tall", "a regression learns from numbers only"),
    ],
)
def test_a_label_that_its_task_cannot_have_is_named(task, label, message):
    with pytest.raises(DataError, match=message):
        targets.task_targets(task, [label], "hard")


def test_every_policy_of_the_training_is_one_of_the_targets():
    field = train_settings.Settings.__dataclass_fields__["targets"]
    assert set(field.metadata["choices"]) == set(targets.POLICIES)

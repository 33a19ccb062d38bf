"""How the answers of each task are judged, against definitions written down elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, mean_absolute_error, root_mean_squared_error

from components.vision import bootstrap, judging, tasks

MULTI = tasks.TASKS["multi_label"]
ONE = tasks.TASKS["one_of_k"]
NUMBER = tasks.of({"task": "regression", "scale": [0.0, 1.0]})
# Eighths, so that ties occur.
ROWS = st.lists(
    st.tuples(
        st.tuples(*[st.integers(0, 8).map(lambda k: k / 8)] * 3), st.tuples(*[st.sampled_from("yn")] * 3).map("".join)
    ),
    min_size=1,
    max_size=12,
)


def split(rows):
    return np.array([p for p, _ in rows]), [label for _, label in rows]


@given(ROWS)
def test_mean_class_precision_is_scikit_learns_over_the_classes_that_occur(rows):
    probability, labels = split(rows)
    truth = np.array([[letter == "y" for letter in label] for label in labels])
    known = [i for i in range(3) if truth[:, i].any()]
    found = judging.mean_class_precision(probability, labels)
    if not known:
        assert np.isnan(found)
    else:
        expected = np.mean([average_precision_score(truth[:, i], probability[:, i]) for i in known])
        assert found == pytest.approx(expected)


@given(ROWS)
def test_decisions_lay_classes_side_by_side_and_are_taken_back(rows):
    probability, labels = split(rows)
    laid = judging.decisions(MULTI, probability)
    letters, groups = judging.decided(MULTI, labels, np.arange(len(labels)))
    assert laid.shape == (len(labels) * 3, 2) == (len(letters), 2)
    np.testing.assert_allclose(laid.sum(axis=1), 1)
    assert groups.tolist() == [n for n in range(len(labels)) for _ in range(3)]
    np.testing.assert_array_equal(judging.in_classes(MULTI, laid, 3), probability)
    assert [letter[1] for letter in letters] == list("".join(labels))


def test_where_one_class_is_right_nothing_is_laid_out():
    probability, labels, groups = np.eye(3), ["ynn", "nyn", "nny"], np.arange(3)
    assert judging.decisions(ONE, probability) is probability
    assert judging.decided(ONE, labels, groups) == (labels, groups)
    assert judging.own_measures(ONE, probability, labels) == {}


def test_accuracy_of_several_classes_is_the_share_of_right_decisions():
    probability = np.array([[0.9, 0.2, 0.6], [0.1, 0.7, 0.4]])
    found = judging.measures(MULTI, probability, ["ynn", "nym"])
    assert found["accuracy"] == pytest.approx(4 / 6), "a decision on m is not right, as everywhere"
    assert found["basic_precision"] == pytest.approx(4 / 5)
    assert found["exact_match"] == 0.5, "the second picture is right in all that is certain"


def test_a_picture_is_drawn_with_all_its_decisions():
    rng = np.random.default_rng(0)
    probability, labels = rng.random((30, 4)), ["".join(rng.choice(["y", "n"], 4)) for _ in range(30)]
    letters, groups = judging.decided(MULTI, labels, np.arange(30))
    draws = bootstrap.resampled(judging.decisions(MULTI, probability), letters, groups, "accuracy", 50, 3)

    def accuracy(rows):
        return judging.measures(MULTI, probability[rows], [labels[i] for i in rows])["accuracy"]

    np.testing.assert_allclose(draws, bootstrap.redrawn(accuracy, 30, np.arange(30), 50, 3))


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=20))
def test_errors_of_numbers_are_scikit_learns(pairs):
    values, labels = np.array([[v] for v, _ in pairs]), [f"{t!r}" for _, t in pairs]
    found = judging.measures(NUMBER, values, labels)
    assert found == {
        "mae": pytest.approx(mean_absolute_error([t for _, t in pairs], values[:, 0])),
        "rmse": pytest.approx(root_mean_squared_error([t for _, t in pairs], values[:, 0])),
    }


def test_a_distance_in_ranks_counts_how_far_off_an_answer_is():
    assert judging.rank_error(np.eye(4)[[0, 3, 1]], ["ynnn", "ynnn", "nnyn"]) == pytest.approx((0 + 3 + 1) / 3)


def test_numbers_are_compared_by_their_error_and_better_is_above_zero():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=60)
    labels, groups = [str(t) for t in truth], np.arange(60)
    close, far = (truth[:, None] + rng.normal(size=(60, 1)) * spread for spread in (0.1, 1.0))
    options = {"metric": "ap", "resamples": 200, "seed": 0}
    better = judging.compared(NUMBER, (close, far), labels, groups, **options)
    assert (better.verdict, better.difference > 0.3) == (bootstrap.GAIN, True)
    assert judging.compared(NUMBER, (far, close), labels, groups, **options).verdict == bootstrap.LOSS
    assert judging.compared(NUMBER, (close, close), labels, groups, **options).is_zero


def test_each_class_keeps_its_own_odds_in_a_geometric_mean():
    stack = np.array([[[0.9, 0.5, 0.5]], [[0.9, 0.1, 0.5]]])
    found = judging.fused(MULTI, stack, np.array([0.5, 0.5]), "geometric")
    assert found[0] == pytest.approx([0.9, 0.25, 0.5], abs=1e-3)
    np.testing.assert_allclose(judging.fused(MULTI, stack, np.array([0.5, 0.5])), [[0.9, 0.3, 0.5]])

"""Fusing predictions: weights that are found again, and honesty of cross-fitting."""

import numpy as np
import pytest

from components.vision import bootstrap, calibration, fusion

LABELS = ["ynn", "nyn", "nny"]


def parts_of(qualities, rows=600, seed=0):
    """One part a quality: the larger, the more often right. Errors are independent."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, rows)
    stack = np.stack([calibration.softmax(rng.normal(size=(rows, 3)) * 2 + q * np.eye(3)[truth]) for q in qualities])
    return stack, [LABELS[t] for t in truth], np.arange(rows)


@pytest.mark.parametrize("mean", fusion.MEANS)
def test_the_mean_of_equal_parts_is_the_part(mean):
    stack, _, _ = parts_of([2.0])
    fused = fusion.weighted_mean(np.repeat(stack, 3, axis=0), fusion.equal_weights(3), mean)
    assert fused == pytest.approx(stack[0], abs=2e-4)
    assert fused.sum(axis=1) == pytest.approx(np.ones(len(fused)))


def test_the_arithmetic_mean_of_known_rows():
    stack = np.array([[[1.0, 0.0]], [[0.5, 0.5]]])
    assert fusion.weighted_mean(stack, np.array([0.75, 0.25])).tolist() == [[0.875, 0.125]]


@pytest.mark.parametrize("mean", fusion.MEANS)
def test_weights_fitted_without_prior_lie_on_the_simplex_and_beat_every_other_choice(mean, monkeypatch):
    monkeypatch.setattr(fusion, "PRIOR_ROWS", 0)
    stack, labels, _ = parts_of([3.0, 1.0, 0.0])
    weights = fusion.fit_weights(stack, labels, mean)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert weights.argmax() == 0
    best = calibration.log_loss(fusion.weighted_mean(stack, weights, mean), labels)
    for other in np.random.default_rng(1).dirichlet(np.ones(3), 50):
        assert best <= calibration.log_loss(fusion.weighted_mean(stack, other, mean), labels) + 1e-6


@pytest.mark.parametrize("mean", fusion.MEANS)
def test_the_fewer_rows_the_nearer_fitted_weights_are_to_equal_ones(mean):
    stack, labels, _ = parts_of([3.0, 0.0])
    few, many = (fusion.fit_weights(stack[:, :rows], labels[:rows], mean) for rows in (4, 600))
    assert 0.5 < few[0] < 0.75
    assert many[0] > few[0] + 0.1


def test_the_greedy_choice_is_never_worse_than_the_best_part_on_its_own_rows():
    stack, labels, _ = parts_of([2.0, 1.5, 0.0])
    weights = fusion.fit_greedy(stack, labels)
    best = max(bootstrap.exact(part, labels) for part in stack)
    assert bootstrap.exact(fusion.weighted_mean(stack, weights), labels) >= best
    assert weights[2] < weights[0]


def test_without_labelled_rows_weights_are_equal():
    stack = np.ones((2, 1, 3)) / 3
    assert fusion.fit_weights(stack, [""]).tolist() == [0.5, 0.5]
    assert fusion.fit_greedy(stack[:, :0], []).tolist() == [0.5, 0.5]


def test_halves_never_cut_a_group_and_are_of_equal_size():
    groups = np.arange(1000) // 10
    first = fusion.halves(groups, seed=3)
    assert first.sum() == 500
    assert all(len(set(first[groups == g])) == 1 for g in np.unique(groups))


def test_a_cross_fitted_row_does_not_depend_on_the_labels_of_its_own_half():
    stack, labels, groups = parts_of([2.0, 1.0, 0.0], rows=200)
    first = fusion.halves(groups, seed=0)
    other = [LABELS[0] if inside else label for inside, label in zip(first, labels, strict=True)]
    before, after = (
        fusion.cross_fitted(stack, seen, groups, fusion.fit_weights, mean="arithmetic", seed=0)
        for seen in (labels, other)
    )
    assert (before[first] == after[first]).all()
    assert (before[~first] != after[~first]).any()


def test_one_group_alone_gets_equal_weights():
    stack, labels, _ = parts_of([2.0, 0.0], rows=10)
    groups = np.zeros(10, dtype=np.int64)
    fused = fusion.cross_fitted(stack, labels, groups, fusion.fit_weights, mean="arithmetic", seed=0)
    assert fused == pytest.approx(fusion.weighted_mean(stack, fusion.equal_weights(2)))


def test_the_error_correlation_of_a_part_with_itself_is_one_and_of_a_perfect_part_none():
    stack, labels, _ = parts_of([1.0])
    perfect = np.eye(3)[[LABELS.index(label) for label in labels]]
    found = fusion.error_correlation(np.stack([stack[0], stack[0], perfect]), labels)
    assert found[0][:2] == [1.0, 1.0]
    assert found[2] == [None, None, None]

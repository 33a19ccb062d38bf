import numpy as np
import pytest

from components.vision import losses

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [1000.0, 0.0, -1000.0]])
TARGETS = np.array([[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def by_hand(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return -(targets * (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))).sum(axis=1)


def test_cross_entropy_of_soft_targets_agrees_with_its_definition():
    expected = by_hand(LOGITS, TARGETS)
    assert losses.mean_cross_entropy(LOGITS, TARGETS) == pytest.approx(expected.mean())
    ones = np.ones(3, np.float32)
    found = losses.weighted_cross_entropy(LOGITS.astype(np.float32), TARGETS.astype(np.float32), ones, 3.0)
    assert float(found) == pytest.approx(expected.mean(), rel=1e-6)


def test_a_weight_of_a_half_counts_half_whatever_the_other_weights_are():
    arguments = LOGITS.astype(np.float32), TARGETS.astype(np.float32)
    whole = float(losses.weighted_cross_entropy(*arguments, np.ones(3, np.float32), 3.0))
    half = float(losses.weighted_cross_entropy(*arguments, np.full(3, 0.5, np.float32), 3.0))
    assert half == pytest.approx(whole / 2)


def test_cross_entropy_stays_finite_for_very_sure_logits():
    assert np.isfinite(losses.mean_cross_entropy(LOGITS * 1e6, TARGETS))


@pytest.mark.parametrize("name", ["focal", "brier"])
def test_losses_for_one_right_class_agree_in_both_forms_and_with_their_definition(name):
    logits = np.clip(LOGITS, -5, 5)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    terms = {
        "focal": -TARGETS * (1 - probabilities) ** 2 * np.log(probabilities),
        "brier": (probabilities - TARGETS) ** 2,
    }[name]
    expected, loss = terms.sum(axis=1).mean(), losses.LOSSES[name]
    assert loss.mean(logits, TARGETS) == pytest.approx(expected)
    arguments = logits.astype(np.float32), TARGETS.astype(np.float32), np.ones(3, np.float32), 3.0
    assert float(loss.weighted(*arguments)) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(loss.mean(LOGITS * 1e6, TARGETS))

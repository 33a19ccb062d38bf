"""Calibration: the error of known tables, and a temperature that is found again."""

import numpy as np
import pytest

from components.vision import calibration


def test_softmax_sums_to_one_and_survives_large_logits():
    probabilities = calibration.softmax(np.array([[1000.0, 999.0], [-1000.0, 0.0]]))
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert probabilities[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_the_calibration_error_of_a_known_table():
    """Two rows at 0.9 of which one is right, two at 0.6 both right: (2 * 0.4 + 2 * 0.4) / 4."""
    rows = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert calibration.expected_calibration_error(rows, ["yn", "ny", "yn", "yn"]) == pytest.approx(0.4)


def test_the_reliability_table_holds_every_row_once_also_at_the_edges():
    rows = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]])
    table = calibration.reliability(rows, ["yn", "yn", "yn"], bins=2)
    assert [(b.low, b.high, b.count) for b in table] == [(0, 0.5, 2), (0.5, 1, 1)]


def test_a_temperature_that_made_a_model_too_sure_is_found_again():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4)) * 2
    truth = (calibration.softmax(logits).cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    labels = ["".join("y" if k == t else "n" for k in range(4)) for t in truth]
    assert calibration.fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.05)
    before = calibration.expected_calibration_error(calibration.softmax(logits * 3), labels)
    after = calibration.expected_calibration_error(calibration.softmax(logits * 3, 3), labels)
    assert after < before / 5


def test_a_temperature_without_rows_is_one():
    assert calibration.fit_temperature(np.empty((0, 3)), []) == 1.0
    assert calibration.fit_temperature(np.ones((1, 3)), [""]) == 1.0


def test_the_log_loss_of_known_rows():
    assert calibration.log_loss(np.array([[0.5, 0.5], [0.2, 0.8]]), ["yn", ""]) == pytest.approx(np.log(2))
    assert np.isnan(calibration.log_loss(np.array([[0.5, 0.5]]), [""]))

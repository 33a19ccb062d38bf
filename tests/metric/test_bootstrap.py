"""Bootstrap intervals: exactly the metric of the repeated rows, paired, over groups, and fast."""

from pathlib import Path

import numpy as np
import pytest

from components.artifacts import submission
from components.errors import DataError
from components.vision import bootstrap, metrics


def drawn(rows, classes, sharpness, seed):
    """Predictions that are right more often the larger `sharpness`, with ties, and their labels, some with m."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    logits = rng.normal(size=(rows, classes)) + sharpness * np.eye(classes)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    letters = np.where(rng.random((rows, classes)) < 0.05, "m", "n")
    letters[np.arange(rows), truth] = "y"
    return probabilities.round(2), ["".join(row) for row in letters]


@pytest.mark.parametrize("metric", bootstrap.METRICS)
def test_a_resample_has_exactly_the_metric_of_the_repeated_rows(metric):
    probabilities, labels = drawn(40, 3, 1.0, 1)
    groups = np.arange(40) // 3
    values = bootstrap.resampled(probabilities, labels, groups, metric, resamples=25, seed=7)
    weights = np.concatenate(list(bootstrap._weights(40, groups, 25, 7))).astype(int)
    for value, weight in zip(values, weights, strict=True):
        rows = np.repeat(np.arange(40), weight)
        score = metrics.average_precision(probabilities[rows], [labels[r] for r in rows])
        assert value == pytest.approx(getattr(score, metric), abs=1e-12)


def test_rows_of_one_group_are_drawn_together():
    groups = np.array([7, 7, 3, 9, 3])
    weights = np.concatenate(list(bootstrap._weights(5, groups, 200, 0)))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 4]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    first, labels = drawn(100, 3, 1.5, 1)
    second, _ = drawn(100, 3, 1.0, 1)
    found = [bootstrap.paired_bootstrap(first, second, labels, None, "ap", 200, seed) for seed in (1, 1, 2)]
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_a_clear_improvement_is_a_gain_and_the_other_way_round_a_loss():
    better, labels = drawn(400, 4, 3.0, 3)
    worse, _ = drawn(400, 4, 1.0, 3)
    gain = bootstrap.paired_bootstrap(better, worse, labels)
    loss = bootstrap.paired_bootstrap(worse, better, labels)
    assert (gain.verdict, loss.verdict) == ("gain", "loss")
    assert gain.low < gain.difference < gain.high
    assert loss.difference == pytest.approx(-gain.difference)
    assert gain.low == pytest.approx(-loss.high)


def test_nothing_changed_is_noise_with_an_interval_of_no_width():
    probabilities, labels = drawn(50, 3, 1.0, 5)
    assert bootstrap.paired_bootstrap(probabilities, probabilities, labels) == bootstrap.Interval(0, 0, 0, "noise")


def test_pairing_makes_the_interval_much_narrower_than_two_separate_ones():
    first, labels = drawn(500, 3, 1.5, 1)
    second = first.copy()
    second[:3] = second[:3, ::-1]  # the other rows keep their place
    paired = bootstrap.paired_bootstrap(first, second, labels)
    low, high = bootstrap.quantiles(bootstrap.resampled(first, labels))
    assert paired.high - paired.low < 0.7 * (high - low)


def test_grouped_copies_widen_the_interval():
    """Ten copies of every row are no new evidence, when the groups say so."""
    probabilities, labels = drawn(60, 3, 1.0, 2)
    many, many_labels = np.repeat(probabilities, 10, axis=0), [label for label in labels for _ in range(10)]
    widths = [
        np.subtract(*bootstrap.quantiles(bootstrap.resampled(many, many_labels, groups))[::-1])
        for groups in (np.repeat(np.arange(60), 10), None)
    ]
    assert widths[0] > 2 * widths[1]


def test_without_rows_nothing_is_claimed_and_nothing_fails():
    nothing = np.empty((0, 3))
    found = bootstrap.paired_bootstrap(nothing, nothing, [])
    assert np.isnan(found.difference)
    assert found.verdict == "unknown"


def test_an_unknown_metric_is_refused():
    with pytest.raises(DataError, match="metric='f1' is not known; expected one of ap"):
        bootstrap.resampled(np.ones((1, 2)), ["yn"], metric="f1")


def test_the_noise_of_real_scores_is_as_large_as_measured():
    """Published for these files: the standard error of one mAP is 0.0020, of a paired difference about 0.0016."""
    real = Path(__file__).parents[3] / "shared" / "data" / "fashionai"
    if not real.exists():
        pytest.skip("the real files (../shared/data/fashionai) are not on this machine")
    answers = {row.key: row.value for row in submission.read_rows(real / "answers_round1.csv.gz")}
    draws = []
    for name in ("submission_0328b_resnet50.csv.gz", "submission_0330a_resnet152.csv.gz"):
        by_attribute = {}
        for row in submission.read_rows(real / name):
            if row.key in answers:
                by_attribute.setdefault(row.attribute, []).append(row)
        values = []
        for number, rows in enumerate(by_attribute[a] for a in sorted(by_attribute)):
            rows = sorted(rows, key=lambda row: row.image_id)
            labels = [answers[row.key] for row in rows]
            table = np.array([submission.numbers(row, len(labels[0]), name) for row in rows])
            values.append(bootstrap.resampled(table, labels, None, "ap", 400, seed=number))
        draws.append(np.mean(values, axis=0))
    assert draws[0].std() == pytest.approx(0.0020, abs=4e-4)
    assert (draws[1] - draws[0]).std() == pytest.approx(0.0016, abs=4e-4)


@pytest.mark.parametrize("difference, draws", [(0.1, [np.nan, np.nan]), (np.nan, [0.1, 0.2]), (0.1, [])])
def test_a_difference_without_an_interval_is_no_number(difference: float, draws: list[float]) -> None:
    found = bootstrap.interval(difference, np.array(draws))
    assert np.isnan([found.difference, found.low, found.high]).all()
    assert found.verdict == "unknown" and not found.is_zero

"""The contest's metric: the worked examples to 1e-12, the laws, and agreement with the official text read literally."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import DataError
from components.vision import metrics

E1 = (
    [
        [0.90, 0.05, 0.03, 0.01, 0.01],
        [0.10, 0.80, 0.05, 0.03, 0.02],
        [0.70, 0.10, 0.10, 0.05, 0.05],
        [0.20, 0.60, 0.10, 0.05, 0.05],
    ],
    ["ynnnn", "nynnn", "nnynn", "nynnn"],
)
E2 = (
    [
        [0.02, 0.95, 0.01, 0.01, 0.005, 0.005],
        [0.05, 0.80, 0.10, 0.02, 0.02, 0.01],
        [0.10, 0.10, 0.70, 0.05, 0.03, 0.02],
        [0.20, 0.10, 0.10, 0.50, 0.05, 0.05],
        [0.30, 0.40, 0.10, 0.10, 0.05, 0.05],
    ],
    ["nmynnn", "nynnnn", "nnymnn", "nnnynn", "ynnnnn"],
)
E3 = (
    [[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0.9, 0.1, 0, 0], [0.2, 0.2, 0.6, 0, 0]],
    ["ynnnn", "nynnn", "nynnn", "nnynn"],
)


def score(example, reading="per_item"):
    rows, labels = example
    return metrics.average_precision(np.array(rows, dtype=float), labels, reading)


def exactly(value):
    return pytest.approx(float(value), abs=1e-12)


@pytest.mark.parametrize(
    ("example", "reading", "ap"),
    [
        (E1, "per_item", Fraction(41, 48)),
        (E1, "distinct", Fraction(41, 48)),
        (E1, "rank", Fraction(41, 48)),
        (E1, "grid", Fraction(717750, 901000)),
        (E2, "per_item", Fraction(15, 16)),
        (E3, "per_item", Fraction(29, 48)),
        (E3, "distinct", Fraction(23, 36)),
        (E3, "rank", Fraction(35, 48)),
    ],
)
def test_a_worked_example_gives_its_exact_fraction(example, reading, ap):
    assert score(example, reading).ap == exactly(ap)


@pytest.mark.parametrize(("example", "ap"), [(E1, 0.796615), (E2, 0.874844), (E3, 0.700250)])
def test_the_grid_reading_gives_the_published_decimals(example, ap):
    assert score(example, "grid").ap == pytest.approx(ap, abs=6e-7)


@pytest.mark.parametrize("example", [E1, E2, E3])
@pytest.mark.parametrize("reading", metrics.READINGS)
def test_the_basic_precision_of_every_worked_example_is_three_quarters(example, reading):
    assert score(example, reading).basic_precision == exactly(Fraction(3, 4))


def test_a_threshold_that_only_m_rows_reach_is_skipped_and_counted():
    found = score(E2)
    assert (found.skipped, found.m_count, found.count) == (1, 1, 5)
    assert found.accuracy == exactly(Fraction(3, 5))


def test_the_mean_over_attributes_is_unweighted():
    scores = {"one": score(E1), "two": score(E2), "three": score(E3)}
    total = metrics.mean_over_attributes(scores)
    weighted = sum(s.ap * s.count for s in scores.values()) / 13
    assert total.map == exactly(Fraction(115, 144))
    assert total.basic_precision == exactly(Fraction(3, 4))
    assert abs(total.map - weighted) > 1e-3
    assert total.accuracy == exactly(Fraction(7, 10))


def test_an_attribute_without_any_threshold_is_undefined_and_left_out_with_a_warning():
    nothing = metrics.average_precision(np.array([[0.9, 0.1], [0.2, 0.8]]), ["my", "ym"])
    assert math.isnan(nothing.ap)
    assert math.isnan(nothing.basic_precision)
    with pytest.warns(UserWarning, match="left out of mAP.*fuzzy"):
        total = metrics.mean_over_attributes({"fuzzy": nothing, "one": score(E1)})
    assert total.map == exactly(Fraction(41, 48))
    assert total.undefined == ("fuzzy",)


def test_on_a_tie_the_lowest_class_answers():
    assert metrics.average_precision(np.array([[0.5, 0.5]]), ["yn"]).accuracy == 1
    assert metrics.average_precision(np.array([[0.5, 0.5]]), ["ny"]).accuracy == 0


def test_rows_are_not_renormalised():
    """Divided by its sum, the second row would overtake the first and the wrong answer would come first."""
    rows = np.array([[0.9, 0.1, 0.1], [0.5, 0.0, 0.0]])
    assert metrics.average_precision(rows, ["ynn", "nyn"]).ap == exactly(Fraction(3, 4))


def test_log_probabilities_score_like_probabilities_but_have_no_precision_at_threshold_zero():
    rows, labels = np.array(E2[0]), E2[1]
    found = metrics.average_precision(np.log(rows), labels)
    assert found.ap == exactly(Fraction(15, 16))
    assert math.isnan(found.basic_precision)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([[0.5, 0.5], [math.nan, 1]], ["yn", "yn"], "row 2 .*not a finite number"),
        ([[0.5, math.inf]], ["yn"], "row 1 .*not a finite number"),
        ([[0.5, 0.5], [0.5, 0.5]], ["yn", "ynn"], "row 2: label 'ynn' has 3 characters; expected 2"),
        ([[0.5, 0.5]], ["yx"], "row 1: label 'yx' holds other letters"),
        ([[0.5, 0.5]], ["yn", "ny"], r"shape \(1, 2\) for 2 labels"),
        ([0.5, 0.5], ["yn", "ny"], r"shape \(2,\) for 2 labels"),
    ],
)
def test_rows_that_cannot_be_scored_are_named(rows, labels, message):
    with pytest.raises(DataError, match=message):
        metrics.average_precision(np.array(rows, dtype=float), labels)


def test_an_unknown_reading_is_refused():
    with pytest.raises(DataError, match="reading='voc' is not known; expected one of per_item"):
        score(E1, "voc")


# The official text, line by line (fashionai.md 1.5), as slow as it stands there.
def literal_precision(rows, labels, threshold):
    block, predicted, correct = 0, 0, 0
    for row, label in zip(rows, labels, strict=True):
        confidence, answer = max(row), row.index(max(row))
        if confidence < threshold:
            block += 1
        elif label[answer] == "y":
            predicted, correct = predicted + 1, correct + 1
        elif label[answer] == "n":
            predicted += 1
    return block, predicted, correct


def literal_score(rows, labels, reading):
    if reading == "rank":
        clear = [
            (max(r), label[r.index(max(r))] == "y")
            for r, label in zip(rows, labels, strict=True)
            if label[r.index(max(r))] != "m"
        ]
        clear.sort(key=lambda pair: -pair[0])
        found = [Fraction(sum(right for _, right in clear[: k + 1]), k + 1) for k in range(len(clear))]
        return sum(found) / len(found) if found else math.nan
    confidences = [max(row) for row in rows]
    thresholds = {"per_item": confidences, "distinct": set(confidences), "grid": [i * 0.001 for i in range(1000)]}[
        reading
    ]
    judged = [literal_precision(rows, labels, t) for t in thresholds]
    found = [Fraction(correct, predicted) for block, predicted, correct in judged if block < len(rows) and predicted]
    return sum(found) / len(found) if found else math.nan


@st.composite
def tables(draw):
    """Rows with many ties, since probabilities come from a small set, and labels with any number of m."""
    classes = draw(st.integers(2, 4))
    value = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.999, 1.0])
    rows = draw(st.lists(st.lists(value, min_size=classes, max_size=classes), min_size=1, max_size=12))
    labels = [draw(st.text("ymn", min_size=classes, max_size=classes)) for _ in rows]
    return rows, labels


@given(table=tables(), reading=st.sampled_from(metrics.READINGS))
def test_every_reading_agrees_with_the_official_text_read_literally(table, reading):
    rows, labels = table
    assert score(table, reading).ap == pytest.approx(
        float(literal_score(rows, labels, reading)), abs=1e-12, nan_ok=True
    )


@given(table=tables())
def test_the_basic_precision_is_the_official_precision_at_threshold_zero(table):
    _, predicted, correct = literal_precision(*table, 0)
    expected = correct / predicted if predicted else math.nan
    assert score(table).basic_precision == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(table=tables(), seed=st.integers(0, 1000))
def test_the_default_reading_does_not_depend_on_the_order_of_the_rows(table, seed):
    order = np.random.default_rng(seed).permutation(len(table[0]))
    shuffled = [table[0][i] for i in order], [table[1][i] for i in order]
    assert score(shuffled).ap == pytest.approx(score(table).ap, abs=1e-12, nan_ok=True)


@given(table=tables())
def test_the_default_reading_only_looks_at_the_order_of_the_confidences(table):
    squeezed = np.sqrt(np.array(table[0])) / 3
    assert metrics.average_precision(squeezed, table[1]).ap == pytest.approx(score(table).ap, abs=1e-12, nan_ok=True)

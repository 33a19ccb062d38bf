"""Scores with intervals, the block-count curve, the confusion table."""

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.report import scores, sections
from components.report.evidence import Attribute, Rows
from components.report.settings import Settings

SETTINGS = Settings(resamples=200)


def attribute(name: str, probability: list[list[float]], labels: list[str]) -> Attribute:
    n, k = len(labels), len(probability[0]) if probability else 3
    rows = Rows(tuple(f"{i}" for i in range(n)), tuple(labels), np.arange(n), np.array(probability).reshape(n, k))
    nothing = Rows((), (), np.empty(0, np.int64), np.empty((0, k)))
    return Attribute(name, tuple("abcdefgh"[:k]), "ref/" + name, {}, rows, nothing, pd.DataFrame())


E1 = attribute(
    "e1",
    [
        [0.9, 0.05, 0.03, 0.01, 0.01],
        [0.1, 0.8, 0.05, 0.03, 0.02],
        [0.7, 0.1, 0.1, 0.05, 0.05],
        [0.2, 0.6, 0.1, 0.05, 0.05],
    ],
    ["ynnnn", "nynnn", "nnynn", "nynnn"],
)
E3 = attribute("e3", [[1, 0, 0], [1, 0, 0], [0, 0.9, 0.1], [0.2, 0.2, 0.6]], ["ynn", "nyn", "nyn", "nny"])
ONLY_FUZZY = attribute("fuzzy", [[0.9, 0.1, 0.0]], ["myn"])


def test_the_total_is_the_unweighted_mean_over_attributes() -> None:
    found = scores.score([E1, E3], SETTINGS, 0)
    assert found.total["map"].value == pytest.approx((41 / 48 + 29 / 48) / 2, abs=1e-12)
    assert found.total["basic_precision"].value == pytest.approx(0.75)


def test_every_interval_holds_its_value() -> None:
    found = scores.score([E1, E3], SETTINGS, 0)
    estimates = [*found.total.values(), *found.attributes["e1"].estimates.values()]
    assert all(e.low <= e.value <= e.high for e in estimates)


def test_the_interval_of_a_total_holds_its_value_where_the_attributes_differ_in_size_and_skill() -> None:
    sure, unsure = [[0.9, 0.1]] * 60, [[0.6, 0.4]] * 6
    large = attribute("large", sure, ["yn"] * 57 + ["ny"] * 3)
    small = attribute("small", unsure, ["yn"] * 2 + ["ny"] * 4)
    found = scores.score([large, small], SETTINGS, 0).total
    assert found["accuracy"].value == pytest.approx((57 / 60 + 2 / 6) / 2)
    assert all(e.low <= e.value <= e.high for e in found.values())


def test_the_same_seed_gives_the_same_intervals() -> None:
    first, second, other = (scores.score([E1, E3], SETTINGS, seed).total["map"] for seed in (0, 0, 5))
    assert first == second
    assert first.value == other.value


def test_an_undefined_attribute_is_left_out_of_the_means_and_named() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scores.score([E1, ONLY_FUZZY], SETTINGS, 0)
    assert found.undefined == ("fuzzy",)
    assert found.total["map"].value == pytest.approx(41 / 48)
    text = json.dumps(scores.as_json(found, [E1, ONLY_FUZZY], SETTINGS), allow_nan=False)
    assert json.loads(text)["attributes"]["fuzzy"]["ap"]["value"] is None
    assert all(math.isfinite(v) for v in scores.finite(found).values())


def test_nothing_defined_at_all_is_written_as_null_not_as_nan() -> None:
    found = scores.score([ONLY_FUZZY], SETTINGS, 0)
    assert scores.as_json(found, [ONLY_FUZZY], SETTINGS)["total"]["map"] == {"value": None, "low": None, "high": None}


def test_no_validation_pictures_is_undefined_not_an_error() -> None:
    empty = attribute("none", [], [])
    found = scores.score([E1, empty], SETTINGS, 0)
    assert found.undefined == ("none",)


def test_the_confusion_table_counts_by_labelled_and_predicted_class() -> None:
    assert scores.confusion(E3.valid).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def many_classes(count: int) -> Attribute:
    """Of each class two pictures; those of class 1 are taken for class 2, one of class 0 for class 3."""
    labels = [i // 2 for i in range(2 * count)]
    predicted = [{1: 2}.get(label, label) for label in labels]
    predicted[0] = 3
    letters = ["n" * label + "y" + "n" * (count - 1 - label) for label in labels]
    found = attribute("many", np.eye(count)[predicted].tolist(), letters)
    return replace(found, classes=tuple(f"class {i}" for i in range(count)))


def test_a_confusion_table_that_is_too_wide_is_told_by_the_pairs_confused_most() -> None:
    found = sections.confusion_table(many_classes(41))
    assert [(p["labelled"], p["predicted"], p["count"], p["share"]) for p in found["pairs"]] == [
        ("class 1", "class 2", "2", "100.0 %"),
        ("class 0", "class 3", "1", "50.0 %"),
    ]
    assert not found["classes"] and not any(row["cells"] for row in found["rows"])
    assert [(row["recall"], row["precision"]) for row in found["rows"][:4]] == [
        ("50.0 %", "100.0 %"),
        ("0.0 %", "–"),
        ("100.0 %", "50.0 %"),
        ("100.0 %", "66.7 %"),
    ]


def test_a_confusion_table_that_can_be_read_has_every_pair() -> None:
    found = sections.confusion_table(many_classes(40))
    assert found["pairs"] is None and len(found["classes"]) == len(found["rows"][0]["cells"]) == 40


def test_the_block_count_curve_ends_at_everything_answered_with_basic_precision() -> None:
    answered, precision = scores.coverage(E1.valid)
    assert answered.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert precision.tolist() == pytest.approx([1, 1, 2 / 3, 3 / 4])


def test_coverage_at_a_precision_is_the_largest_share_that_reaches_it() -> None:
    assert scores.coverage_at(E1.valid, 0.7) == 1.0  # falls below at 0.75 but recovers
    assert scores.coverage_at(E1.valid, 0.8) == 0.5
    assert scores.coverage_at(E3.valid, 0.8) == 0.0


def test_pictures_of_equal_confidence_are_answered_together() -> None:
    answered, precision = scores.coverage(E3.valid)
    assert answered[0] == 0.5 and precision[0] == 0.5


def test_the_other_readings_stand_beside_the_default() -> None:
    found = scores.as_json(scores.score([E3], SETTINGS, 0), [E3], SETTINGS)["attributes"]["e3"]
    assert found["ap"]["value"] == pytest.approx(29 / 48, abs=1e-9)
    assert found["other_readings"]["distinct"] == pytest.approx(23 / 36, abs=1e-9)

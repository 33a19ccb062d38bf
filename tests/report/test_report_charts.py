"""Charts and numbers: well-formed, in words, at most four significant digits."""

import math
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.report import charts, curves, numbers
from components.report.lineage import Training


def test_a_chart_says_in_words_what_it_shows_and_escapes_them() -> None:
    svg = charts.lines('loss of "a<b>"', [charts.Series("loss", [1, 2], [0.5, 0.4])], ("epoch", "loss"))
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'loss of "a<b>"'


def test_points_that_are_not_finite_are_left_out_of_a_line() -> None:
    svg = charts.lines("x", [charts.Series("loss", [1, 2, 3], [0.5, math.nan, 0.4])], ("epoch", "loss"))
    assert "nan" not in svg
    line = ElementTree.fromstring(svg).find("path[@class='s0']")
    assert line is not None and line.get("d", "").count("L") == 1


def test_a_single_epoch_is_a_dot() -> None:
    svg = charts.lines("x", [charts.Series("loss", [1], [0.5])], ("epoch", "loss"))
    assert ElementTree.fromstring(svg).find("circle") is not None


def test_a_chart_without_any_point_is_still_a_chart() -> None:
    for svg in (
        charts.lines("x", [charts.Series("loss", [], [])], ("epoch", "loss")),
        charts.reliability("x", [], [], []),
    ):
        chart = ElementTree.fromstring(svg)
        assert chart.tag.endswith("svg") and chart.find("circle") is None


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(low: float, span: float) -> None:
    found = charts.ticks(low, low + span)
    assert 1 <= len(found) <= 9
    assert found == sorted(found)
    assert all(low - span * 1e-6 <= t <= low + span * (1 + 1e-6) for t in found)


def test_an_interval_beyond_the_scale_stays_inside_the_picture() -> None:
    svg = ElementTree.fromstring(charts.whisker(-9, 0, 9, (-1, 1), "noise"))
    assert svg.find("path[@class='span']").get("d") == "M5 8H115"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "text"), [(0.953247, "0.9532"), (1.0, "1.000"), (0.99999, "1.000"), (0.0, "0.0000"), (math.nan, "–")]
)
def test_a_share_has_at_most_four_significant_digits(value: float, text: str) -> None:
    assert numbers.share(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.7, "0.7000"), (1.2, "1.200"), (123.456, "123.5"), (-2.0, "−2.000")])
def test_the_numbers_of_a_column_keep_their_last_zeros(value: float, text: str) -> None:
    assert numbers.plain(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.0123, "+0.0123"), (-0.0011, "−0.0011"), (-0.00001, "0.0000")])
def test_a_difference_always_has_its_sign_unless_it_is_nothing(value: float, text: str) -> None:
    assert numbers.signed(value) == text


def history(*valid_map: float) -> pd.DataFrame:
    epochs = np.arange(1.0, len(valid_map) + 1)
    return pd.DataFrame({"epoch": epochs, "loss": 1 / epochs, "valid_map": valid_map, "learning_rate": epochs})


def test_the_phases_of_a_model_follow_each_other_on_one_chart() -> None:
    trainings = [Training("small", "round1", "a", history(0.5, 0.6)), Training("small", "round2", "b", history(0.7))]
    (model,) = curves.of_models(trainings)
    assert [(r["phase"], r["epoch"]) for r in model["table"]["rows"]] == [
        ("round1", "1"),
        ("round1", "2"),
        ("round2", "3"),
    ]
    assert model["table"]["columns"] == ["training loss", "validation AP"]
    assert "round1 then round2" in model["panels"][0]["chart"]


def test_every_model_has_its_own_charts() -> None:
    trainings = [Training(model, "round1", model, history(0.5, 0.6)) for model in ("small", "wide")]
    assert [m["model"] for m in curves.of_models(trainings)] == ["small", "wide"]

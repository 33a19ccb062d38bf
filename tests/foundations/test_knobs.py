"""Settings are declared once and refuse what does not fit, in words that help."""

from dataclasses import dataclass, fields

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from components import knobs
from components.errors import SettingsError
from components.knobs import given, knob


@dataclass(frozen=True)
class Settings:
    epochs: int = knob(10, "passes over the training pictures", unit="epochs", at_least=1, at_most=500)
    learning_rate: float = knob(1e-3, "step size", at_least=0)
    policy: str = knob("hard", "fuzzy targets", choices=("hard", "y60m40"))
    views: list[str] = knob(["plain"], "views to use", choices=("plain", "flip"))
    is_frozen: bool = knob(False, "keep the backbone as it is")


@dataclass(frozen=True)
class Inputs:
    shards: str = given("reference of the shards")


def test_defaults_hold_where_nothing_is_given():
    assert knobs.from_mapping(Settings, {}) == Settings(10, 1e-3, "hard", ["plain"], False)


def test_an_integral_json_number_is_an_int():
    assert knobs.from_mapping(Settings, {"epochs": 3.0}).epochs == 3


def test_an_int_is_a_float_where_a_float_is_expected():
    rate = knobs.from_mapping(Settings, {"learning_rate": 1}).learning_rate
    assert (rate, type(rate)) == (1.0, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochz": 3}, "round2.epochz is not a setting; did you mean epochs?"),
        ({"epochs": 0}, "round2.epochs=0 is below 1; give 1 or more"),
        ({"epochs": 501}, "round2.epochs=501 is above 500; give 500 or less"),
        ({"epochs": "3"}, "round2.epochs='3' is a str; expected int, for instance 3"),
        ({"epochs": 2.5}, "round2.epochs=2.5 is a float; expected int, for instance 3"),
        ({"epochs": True}, "round2.epochs=True is a bool; expected int, for instance 3"),
        ({"is_frozen": 1}, "round2.is_frozen=1 is an int; expected bool, for instance true"),
        ({"learning_rate": float("nan")}, "round2.learning_rate=nan is not finite; expected float, for instance 0.5"),
        ({"policy": "hrad"}, "round2.policy='hrad' is not one of hard, y60m40; did you mean hard?"),
        ({"views": ["plain", "flop"]}, "round2.views='flop' is not one of plain, flip; did you mean flip?"),
        ({"views": [1]}, "round2.views[0]=1 is an int; expected str, for instance text"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(values, message):
    with pytest.raises(SettingsError) as refusal:
        knobs.from_mapping(Settings, values, where="round2")
    assert str(refusal.value) == message


def test_a_missing_input_is_named_with_its_help():
    with pytest.raises(SettingsError, match="shards is missing; give it a value: reference of the shards"):
        knobs.from_mapping(Inputs, {})


def test_the_description_tells_unit_choices_and_range():
    about = {f.name: knobs.describe(f) for f in fields(Settings)}
    assert about["epochs"] == "passes over the training pictures; [epochs]; at least 1; at most 500"
    assert about["policy"] == "fuzzy targets; one of: hard, y60m40"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [("3", int, 3), ("0.5", float, 0.5), ("True", bool, True), ("a, b", list, ["a", "b"]), ('["a"]', list, ["a"]),
     ('{"a":1}', dict, {"a": 1}), ("3", str, "3")],
)  # fmt: skip
def test_command_line_text_becomes_the_type_of_its_knob(text, kind, value):
    assert knobs.parse(text, kind) == value


def test_command_line_text_of_another_type_is_refused():
    with pytest.raises(SettingsError, match="'many' is not an int"):
        knobs.parse("many", int)


@for_all(
    st.builds(
        Settings, epochs=st.integers(1, 500), learning_rate=st.floats(0, 1), policy=st.sampled_from(["hard", "y60m40"])
    )
)
def test_settings_survive_the_way_through_plain_values(settings):
    assert knobs.from_mapping(Settings, knobs.as_mapping(settings)) == settings

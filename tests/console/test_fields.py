"""Values as texts that inputs show and `--set` reads: nothing is lost between the two."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import knobs
from pipeline.console import fields
from pipeline.recipe import STEPS
from pipeline.server.domain.recipes import Field

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)


@given(st.lists(WORDS))
def test_a_list_of_words_is_read_back_as_it_was(value: list[str]) -> None:
    assert knobs.parse(fields.as_text(value), list) == value


@given(st.one_of(st.integers(-(10**12), 10**12), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_is_read_back_as_it_was(value: float) -> None:
    assert knobs.parse(fields.as_text(value), float) == value


@given(st.dictionaries(WORDS, st.floats(allow_nan=False, allow_infinity=False)))
def test_a_struct_is_read_back_as_it_was(value: dict[str, float]) -> None:
    assert knobs.parse(fields.as_text(value), dict) == value


@pytest.mark.parametrize("step", STEPS)
def test_every_default_of_every_step_is_read_back_by_the_form(step: str) -> None:
    settings = STEPS[step].Settings
    usual = knobs.as_mapping(settings())
    types = knobs.types_of(settings)
    read = {name: knobs.parse(fields.as_text(value), types[name]) for name, value in usual.items()}
    assert knobs.as_mapping(knobs.from_mapping(settings, read)) == usual


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("1e-3", "0.001", "number"),
        ("a,b", '["a", "b"]', "list"),
        ("True", "true", "boolean"),
        ("20.0", "20", "integer"),
    ],
)
def test_two_ways_to_write_one_value_are_no_change(first: str, second: str, kind: str) -> None:
    empty = Field("x", "x", kind, "")
    assert not fields.filled(
        empty, default=knobs.parse(second, list) if kind == "list" else second, earlier=None, given=first
    ).is_changed


def test_texts_are_compared_as_they_are() -> None:
    assert not fields.is_same("1e-3", "0.001", "text")


def test_every_kind_of_knob_has_its_control() -> None:
    @dataclass(frozen=True)
    class Settings:
        word: str = knobs.knob("a", "w")
        size: str = knobs.knob("s", "w", choices=("s", "l"))
        sizes: list[str] = knobs.knob([], "w", choices=("s", "l"))
        count: int = knobs.knob(1, "w", at_least=1, unit="pieces")
        share: float = knobs.knob(0.5, "w")
        is_on: bool = knobs.knob(False, "w")
        more: dict[str, Any] = knobs.knob({}, "w")

    found = fields.of_settings(Settings, "group.")
    assert {name: field.kind for name, field in found.items()} == {
        "word": "text",
        "size": "choice",
        "sizes": "list",
        "count": "integer",
        "share": "number",
        "is_on": "boolean",
        "more": "struct",
    }
    assert (found["count"].name, found["count"].low, found["count"].unit) == ("group.count", 1, "pieces")

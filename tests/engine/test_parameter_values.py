"""Types and texts of parameters, as KFP's backend has them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.values import (
    Artifact,
    ValueProblem,
    Values,
    as_text,
    canonical,
    coerce,
    parse_given,
    parse_output,
    plain,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10, "10"),
        (0.5, "0.5"),
        (0.00001, "1e-05"),
        (0.0001, "0.0001"),
        (123456.5, "123456.5"),
        (1234567.5, "1.2345675e+06"),
        (-1.5e-7, "-1.5e-07"),
        (True, "true"),
        (["a", 1], '["a",1]'),
        ({"k": None}, '{"k":null}'),
        ("as is\n", "as is\n"),
    ],
)
def test_a_value_inside_a_text_is_written_as_go_writes_it(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_numbers_are_plain_decimals_where_the_text_also_names_an_output() -> None:
    assert as_text(0.00001, decimal=True) == "0.00001"


@given(JSON)
def test_equal_values_have_one_text_and_plain_changes_nothing_twice(value: Any) -> None:
    assert plain(plain(value)) == plain(value)
    assert canonical(plain(value)) == canonical(value)


@given(st.integers(-(2**53), 2**53))
def test_an_integral_float_is_the_integer(number: int) -> None:
    assert canonical(float(number)) == str(number)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_kfp_cannot_carry_is_refused(value: Any) -> None:
    with pytest.raises(ValueProblem):
        plain([value])


@pytest.mark.parametrize(
    ("value", "kind", "result"),
    [
        (3, "STRING", "3"),
        (3.0, "NUMBER_INTEGER", 3),
        (3, "NUMBER_DOUBLE", 3),
        (["a"], "LIST", ["a"]),
        ({}, "STRUCT", {}),
    ],
)
def test_a_value_takes_the_declared_type(value: Any, kind: str, result: Any) -> None:
    assert coerce(value, kind, "x") == result


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("3", "NUMBER_INTEGER"),
        (True, "NUMBER_INTEGER"),
        (1.5, "NUMBER_INTEGER"),
        (1, "BOOLEAN"),
        ("[]", "LIST"),
        ([], "STRUCT"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(value: Any, kind: str) -> None:
    with pytest.raises(ValueProblem, match=f"input x got .* takes {kind}"):
        coerce(value, kind, "x")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [("a\n", "STRING", "a\n"), (" 3\n", "NUMBER_INTEGER", 3), ("True", "BOOLEAN", True), ("[1.0]", "LIST", [1])],
)
def test_the_file_of_an_output_is_read_by_its_type(text: str, kind: str, value: Any) -> None:
    assert parse_output(text, kind, "x") == value


@pytest.mark.parametrize(("text", "kind"), [("3.0", "NUMBER_INTEGER"), ("yes", "BOOLEAN"), ("[", "LIST")])
def test_a_file_of_another_type_fails_the_task(text: str, kind: str) -> None:
    with pytest.raises(ValueProblem, match=f"is no {kind}"):
        parse_output(text, kind, "x")


def test_what_a_person_types_is_text_for_a_string_and_json_otherwise() -> None:
    assert parse_given("3", "STRING", "x") == "3"
    assert parse_given("[1, 2]", "LIST", "x") == [1, 2]
    with pytest.raises(ValueProblem, match="x=yes is no JSON, and x takes BOOLEAN; for instance true"):
        parse_given("yes", "BOOLEAN", "x")


def test_values_survive_the_store() -> None:
    values = Values({"a": [1]}, {"m": (Artifact("m", "system.Model", "/x", {"acc": 1}, "d"),)})
    assert Values.from_json(values.as_json()) == values

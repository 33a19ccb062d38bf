"""Conditions as kfp compiles them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.conditions import holds
from pipeline.engine.values import ValueProblem

X = "inputs.parameter_values['x']"
Y = "inputs.parameter_values['y']"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{X} == 'heads'", True),
        (f"{X} != 'heads'", False),
        (f"!({X} == 'heads') && int({Y}) > 3", False),
        (f"!({X} == 'tails') && int({Y}) > 3", True),
        (f"int({Y}) <= 3 || double({Y}) >= 5.0", True),
        (f"{Y} == 5 && true", True),
        ("inputs.parameter_values['b'] == true", True),
        ("inputs.parameter_values['b'] == 1", False),
        (f"{X} == 'it\\'s'", False),
        (f"string({Y}) == '5'", True),
        ("-1 < 0.5", True),
        (f"{X} == 5", False),
    ],
)
def test_a_condition_is_true_or_false(text: str, expected: bool) -> None:
    assert holds(text, {"x": "heads", "y": 5, "b": True}) is expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("inputs.parameter_values['z'] == 1", "reads parameter 'z'"),
        (f"{X} > 3", "different kinds"),
        (f"int({X}) > 3", "has no value"),
        (f"{X} ==", "cannot be read at its end"),
        (f"({X} == 'a'", "cannot be read"),
        ("__import__('os').system('true')", "cannot be read"),
        ("exec == 1", "cannot be read at exec"),
        (X, "not true or false"),
        ("", "cannot be read"),
    ],
)
def test_what_cannot_be_judged_is_an_error_not_false(text: str, problem: str) -> None:
    with pytest.raises(ValueProblem, match=problem):
        holds(text, {"x": "heads"})


def test_an_error_on_one_side_does_not_matter_when_the_other_decides() -> None:
    assert holds("inputs.parameter_values['z'] == 1 || 1 == 1", {})
    assert not holds("inputs.parameter_values['z'] == 1 && 1 == 2", {})
    with pytest.raises(ValueProblem):
        holds("inputs.parameter_values['z'] == 1 && 1 == 1", {})


@given(st.integers(-50, 50), st.integers(-50, 50), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
def test_comparisons_of_numbers_agree_with_python(a: int, b: int, sign: str) -> None:
    expected = {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]
    assert holds(f"int({X}) {sign} {b}", {"x": a}) is expected


@given(st.text())
def test_a_text_never_breaks_out_of_its_quotes(text: str) -> None:
    assert holds(f"{X} == {Y}", {"x": text, "y": text})

"""Values of pages as JSON."""

import math

import pytest

from pipeline.server.rendering import number, plain, signed


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_know_is_null(value):
    assert plain({"loss": [value, 0.5]}) == {"loss": [None, 0.5]}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-0.5, "−0.5"), (-1234.5, "−1,234"), (0.00001, "1e−05"), (0.5, "0.5"), (None, "–"), (math.nan, "–")],
)
def test_a_number_has_four_digits_and_a_minus_that_is_no_hyphen(value, shown):
    assert number(value) == shown


def test_a_difference_has_its_sign():
    assert [signed(value) for value in (0.01, -0.01, 0.0)] == ["+0.0100", "−0.0100", "+0.0000"]

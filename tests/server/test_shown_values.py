"""Values of pages as JSON."""

import math

import pytest

from pipeline.server.rendering import plain


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_know_is_null(value):
    assert plain({"loss": [value, 0.5]}) == {"loss": [None, 0.5]}

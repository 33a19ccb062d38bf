"""KFP's macros in parameters."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.engine.macros import Launch, expand

LAUNCH = Launch("some-run-uuid", scheduled=25.0, now=datetime(2026, 11, 2, 15, 4, 9, tzinfo=UTC).timestamp(), index=27)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("FOO [[RunUUID]] FOO", "FOO some-run-uuid FOO"),
        ("[[ScheduledTime]]", "19700101000025"),
        ("[[CurrentTime]]", "20261102150409"),
        ("day-[[Index]]-[[Index]]", "day-27-27"),
        ("[[ScheduledTime.15-04-05]]", "00-00-25"),
        ("[[CurrentTime.2006-01-02]]", "2026-11-02"),
        ("[[CurrentTime.2006-01-02T15:04:05Z07:00]]", "2026-11-02T15:04:09Z"),
        ("[[CurrentTime.Mon Jan _2 3:4:5 PM 06 MST]]", "Mon Nov  2 3:4:9 PM 26 UTC"),
        ("[[CurrentTime.Monday 2 January, day 002, -0700]]", "Monday 2 November, day 306, +0000"),
        ("[[Unknown]] [[]] [[ScheduledTimes]] [Index]", "[[Unknown]] [[]] [[ScheduledTimes]] [Index]"),
        ("gs://b/[[CurrentTime.2006/01]]/[[Index]].csv", "gs://b/2026/11/27.csv"),
    ],
)
def test_a_macro_in_a_string_is_replaced_as_kfp_does(text: str, expanded: str) -> None:
    assert expand(text, LAUNCH) == expanded


@pytest.mark.parametrize(
    ("value", "expanded"),
    [
        (["[[Index]]", {"time": "[[ScheduledTime]]"}], ["27", {"time": "19700101000025"}]),
        (42, 42),
        (True, True),
        (None, None),
    ],
)
def test_macros_are_replaced_inside_lists_and_objects_and_other_values_stay(value: Any, expanded: Any) -> None:
    assert expand(value, LAUNCH) == expanded

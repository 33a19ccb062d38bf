"""docs/schedules.md says what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline import notices
from pipeline.engine import macros, outbox, recurring_spec, schedule

PAGE = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """Rows of the first table after a text, code marks left out."""
    lines = PAGE[PAGE.index(heading) :].splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    rows = []
    for line in lines[begin + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


@pytest.mark.parametrize("row", table("## When"), ids=lambda row: row[0])
def test_each_cron_text_of_the_page_is_said_in_these_words(row: list[str]) -> None:
    text, zone, words = row
    assert schedule.in_words(schedule.CronSchedule(text.strip("`"), zone.strip("`"))) == words


def test_each_macro_of_the_page_is_one() -> None:
    launch = macros.Launch("id", 0.0, 0.0, 1)
    for macro, _ in table("## Parameters"):
        assert macros.expand(macro.strip("`"), launch) != macro.strip("`")


def test_the_page_lists_the_fields_of_a_message(office: Any) -> None:
    hears = outbox.Outbox(office.store)
    hears.add("http://example.org", "ended", 0.0)
    office.engine.create_run(office.store.database.rows("SELECT text FROM pipelines")[0]["text"], {})
    office.finish()
    hears.collect(lambda event: notices.describe(office.store, event, str), 0.0)
    listed = {name for cell, _ in table("## Notifications") for name in re.findall(r"`(\w+)`", cell)}
    assert set(hears.deliveries()[0].body) == listed


def test_the_check_of_a_signature_on_the_page_accepts_ours_and_no_other() -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    assert names["is_genuine"]("k", b"{}", notices.signature("k", b"{}"))
    assert not names["is_genuine"]("k", b"{} ", notices.signature("k", b"{}"))


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("1 to (\\d+)\\) runs", recurring_spec.MOST_AT_ONCE),
        ("up to (\\d+), each with `task`", notices.MOST_TASKS),
        ("the last (\\d+) lines", notices.MOST_LINES),
        ("the next comes (\\d+) s later", outbox.FIRST_PAUSE_S),
    ],
)
def test_the_numbers_of_the_page_are_those_of_the_code(words: str, value: float) -> None:
    found = re.search(words, PAGE)
    assert found is not None and float(found[1]) == value


def test_the_longest_pause_is_an_hour_and_the_last_try_after_a_day() -> None:
    assert (outbox.LONGEST_PAUSE_S, outbox.TRIED_S) == (3600.0, 86_400.0)

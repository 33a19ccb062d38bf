"""The charts of the detection pages: axes that say what is there, and nothing cut off at the edge."""

import re

import numpy as np

from components.vision.detection import charts


def marks_across(chart: str) -> list[tuple[str, str]]:
    """Anchor and text of the marks of the x axis."""
    return re.findall(r'y="222" text-anchor="(\w+)">([^<]+)</text>', chart)


def drawn(xs: list[float], **how: bool) -> str:
    return charts.lines("Title", "iteration", {"one": (np.array(xs), np.linspace(0, 1, len(xs)))}, low=0, high=1, **how)


def test_recall_goes_from_0_to_1_however_far_the_detector_came() -> None:
    assert [text for _, text in marks_across(drawn([0, 0.6429], shares=True))] == ["0", "0.25", "0.5", "0.75", "1"]


def test_iterations_are_whole_numbers_and_none_is_said_twice() -> None:
    assert [text for _, text in marks_across(drawn([1, 6]))] == ["1", "2", "4", "5", "6"]
    assert [text for _, text in marks_across(drawn([0, 2]))] == ["0", "1", "2"]
    assert [text for _, text in marks_across(drawn([100, 1_200_100]))][-1] == "1200100"


def test_the_last_mark_ends_where_the_chart_does() -> None:
    assert [anchor for anchor, _ in marks_across(drawn([0, 600]))] == ["middle"] * 4 + ["end"]


def test_a_chart_scrolls_where_it_would_be_too_small_to_read() -> None:
    assert re.search(r'<div class="scroll"><svg', drawn([0, 600]))
    assert "svg{min-width:" in charts.STYLE and ".scroll{overflow-x:auto}" in charts.STYLE

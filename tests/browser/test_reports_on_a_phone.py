"""Reports on a small screen: wide tables scroll by themselves, the page does not."""

from pathlib import Path
from typing import Any

import pytest

COMPONENTS = Path(__file__).parents[2] / "components"
HEAD = "<th>column</th>" * 30 + '<th><span class="unseen">read aloud only</span></th>'
TABLE = f'<div class="scroll"><table><thead><tr>{HEAD}</tr></thead></table></div>'


@pytest.mark.parametrize("step", ["report", "study"])
def test_what_is_only_read_aloud_at_the_end_of_a_wide_table_widens_no_page(browser_page: Any, step: str) -> None:
    style = (COMPONENTS / step / "page.css").read_text()
    browser_page.set_viewport_size({"width": 360, "height": 740})
    browser_page.set_content(f"<!doctype html><style>{style}</style>{TABLE}")
    widths = "[document.querySelector('table'), document.documentElement].map(e => e.scrollWidth)"
    table, page = browser_page.evaluate(widths)
    assert table > 360 and page == 360

"""What a page loads before it is seen."""

from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_a_page_is_painted_before_its_script_is_asked_for(browser_page: Any) -> None:
    browser_page.goto("/runs")
    painted, asked = browser_page.evaluate(
        "[performance.getEntriesByName('first-contentful-paint')[0].startTime,"
        " performance.getEntriesByType('resource').find((r) => r.name.includes('/static/console.')"
        " && r.name.endsWith('.js')).startTime]"
    )
    assert painted <= asked


def test_a_tab_in_the_background_has_its_script_too(browser_page: Any) -> None:
    browser_page.add_init_script("Object.defineProperty(document, 'hidden', { value: true });")
    browser_page.goto("/runs")
    assert browser_page.evaluate("typeof seamline.refresh") == "function"

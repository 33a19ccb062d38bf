"""Models and pictures in a real browser: putting a champion back, and going through pictures with the keyboard."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.engine.records import Run
from pipeline.engine.store import Store
from pipeline.server.domain.pictures import Choice, Grid, Judged, Picture, Row, Tile, Vote

from .conftest import Served

ATTRIBUTE = "skirt_length_labels"
WIDTHS = (360, 1366, 1920)


@dataclass
class FakePictures:
    """Three pictures in every run."""

    names: list[str] = field(default_factory=lambda: ["a/one.jpg", "a/two.jpg", "a/three.jpg"])

    def runs(self, store: Store, image_id: str = "") -> list[Run]:
        return store.runs()

    def grid(self, store: Store, run: Run, choice: Choice, page: int, size: int) -> Grid:
        tiles = [Tile(name, ATTRIBUTE, 1, "labelled", "Short", "Long", 0.6, "wrong") for name in self.names]
        return Grid(tiles, len(tiles), [ATTRIBUTE], ["round1"])

    def neighbours(self, store: Store, run: Run, choice: Choice, image_id: str) -> tuple[str, str]:
        at = self.names.index(image_id)
        return self.names[at - 1] if at else "", self.names[at + 1] if at + 1 < len(self.names) else ""

    def picture(self, store: Store, run: Run, image_id: str) -> Picture | None:
        row = Row(ATTRIBUTE, 1, "round1", "labelled", "Short", "", "yn", 1.0, 0, "validates", "", image_id)
        votes = [Vote(f"model {at}", "teacher", "train", [0.4, 0.6], "wrong") for at in range(7)]
        judged = Judged(ATTRIBUTE, ["Short", "Long"], "yn", votes, None, None, 0, ["plain"], [])
        return Picture(image_id, run, 60, 90, "f" * 64, [row], [], [], [judged]) if image_id in self.names else None

    def image(self, store: Store, run: Run, image_id: str, view: str, size_px: int) -> bytes | None:
        return bytes(cv2.imencode(".jpg", np.full((90, 60, 3), 120, np.uint8))[1])

    def find(self, store: Store, text: str, limit: int) -> list[Any]:
        return []


@pytest.fixture
def pictured(served: Served, small_ir: str) -> str:
    """A run with pictures; its id."""
    served.services.domain = replace(served.services.domain, pictures=FakePictures())
    return served.engine().create_run(small_ir, {})


@pytest.fixture
def two_champions(served: Served) -> Path:
    """A real registry: an ensemble was promoted after another one; both still exist."""
    root = served.state_dir / "data"
    entries = []
    for number, name in enumerate(("one", "two"), start=1):
        folder = root / "ensembles" / name
        folder.mkdir(parents=True)
        content = {"attribute": ATTRIBUTE, "classes": ["Short", "Long"], "members": {}, "weights": {}}
        (folder / "index.json").write_text(json.dumps({"kind": "ensembles", "content": content}))
        report = root / "reports" / name
        report.mkdir(parents=True)
        score = {"attributes": {ATTRIBUTE: {"ap": {"value": 0.8 + number / 100, "low": 0.7, "high": 0.9}}}}
        (report / "scores.json").write_text(json.dumps(score))
        entries.append(_entry(number, name, "one" if number > 1 else ""))
    registry = root / "champions" / f"{ATTRIBUTE}.json"
    registry.parent.mkdir()
    body = {"version": 1, "attribute": ATTRIBUTE, "current": entries[-1]["challenger"], "history": entries}
    registry.write_text(json.dumps(body))
    return registry


def _entry(number: int, name: str, champion: str) -> dict[str, Any]:
    decision = {"action": "promoted", "reason": "gain", "difference": 0.01, "low": 0.0, "high": 0.02, "pictures": 40}
    who = {"ensemble": name, "report": name, "manifest": "m"}
    at = f"2026-01-0{number}T12:00:00+00:00"
    return {"number": number, "at": at, "challenger": who, "champion": champion, "terms": {}, "decision": decision}


def no_sideways_scroll(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_a_champion_is_put_back_with_one_button_and_the_page_says_so(browser_page: Any, two_champions: Path) -> None:
    browser_page.goto("/models")
    assert "0.820" in browser_page.inner_text("table.champions")
    browser_page.fill("input[name=why]", "customers complain")
    browser_page.click("button:has-text('Put the champion of')")
    browser_page.wait_for_selector("text=customers complain")
    assert "0.810" in browser_page.inner_text("table.champions")
    assert json.loads(two_champions.read_text())["current"]["ensemble"] == "one"
    assert browser_page.locator("button:has-text('Put the champion of')").count() == 0  # nobody before the first


def test_a_row_of_the_history_can_be_put_back_by_itself(browser_page: Any, two_champions: Path) -> None:
    browser_page.goto("/models")
    browser_page.click("button:has-text('Put back')")
    browser_page.wait_for_selector("text=back to entry 1 by the console")
    assert json.loads(two_champions.read_text())["current"]["ensemble"] == "one"


@pytest.mark.usefixtures("pictured")
def test_the_grid_is_walked_with_j_and_opened_with_enter_and_turned_with_n(browser_page: Any) -> None:
    browser_page.goto("/pictures")
    for key in ("j", "j", "k", "Enter"):
        browser_page.keyboard.press(key)
    browser_page.wait_for_url("**/pictures/a/one.jpg?**")
    browser_page.keyboard.press("n")
    browser_page.wait_for_url("**/pictures/a/two.jpg?**")
    browser_page.keyboard.press("p")
    browser_page.wait_for_url("**/pictures/a/one.jpg?**")
    assert "one.jpg" in browser_page.inner_text("h1")


@pytest.mark.usefixtures("pictured")
def test_thumbnails_are_really_pictures(browser_page: Any) -> None:
    browser_page.goto("/pictures")
    widths = "[...document.querySelectorAll('.tile img')].map((i) => i.naturalWidth)"
    browser_page.wait_for_function(f"{widths}.every((width) => width > 0)")
    found = browser_page.evaluate(widths)
    assert found and set(found) == {60}


@pytest.mark.usefixtures("pictured", "two_champions")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("address", ["/models", "/pictures", "/pictures/a/two.jpg"])
def test_nothing_sticks_out_sideways(browser_page: Any, width: int, address: str) -> None:
    browser_page.set_viewport_size({"width": width, "height": 800})
    browser_page.goto(address)
    assert no_sideways_scroll(browser_page)


@pytest.mark.usefixtures("pictured")
def test_a_filter_is_sent_when_it_is_chosen_and_stays_in_the_address(browser_page: Any) -> None:
    browser_page.goto("/pictures")
    browser_page.select_option("select[name=order]", "wrong")
    browser_page.wait_for_url("**order=wrong**")
    assert browser_page.input_value("select[name=order]") == "wrong"

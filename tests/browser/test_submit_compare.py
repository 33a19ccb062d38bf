"""New runs and comparisons in a real browser: the estimate follows the form, and everything works by keyboard."""

from typing import Any

import pytest

from pipeline.engine.catalogue import Catalogue, Labels


def run_once(served: Any, text: str, **parameters: Any) -> str:
    engine = served.engine()
    run_id = engine.create_run(text, parameters, name="small")
    engine.execute(run_id)
    return str(run_id)


def test_the_estimate_and_the_differences_follow_what_is_typed(browser_page: Any) -> None:
    browser_page.goto("/submit?recipe=demo")
    browser_page.locator("#group-round1 > summary").click()
    browser_page.get_by_label("epochs", exact=True).first.wait_for()
    browser_page.locator("[name='set.round1.epochs']").fill("3")
    browser_page.locator("#estimate .changes").filter(has_text="round1.epochs").first.wait_for()
    assert "--set round1.epochs=3" in browser_page.locator("#estimate .terminal").inner_text()
    browser_page.locator("[name='set.round1.epochs']").fill("0")
    browser_page.locator("#estimate .cause").wait_for()
    assert browser_page.locator("#estimate button.primary").is_disabled()


def test_a_wrong_setting_in_a_folded_group_is_reached_from_the_list_of_problems(browser_page: Any) -> None:
    browser_page.goto("/submit?recipe=demo&set.round1.epochs=0&set.promote.resamples=1")
    browser_page.locator("#group-promote > summary").click()
    assert not browser_page.locator("[name='set.promote.resamples']").is_visible()
    browser_page.locator("#estimate .cause a").filter(has_text="promote.resamples").click()
    assert browser_page.evaluate("document.activeElement.name") == "set.promote.resamples"


def test_a_setting_is_found_by_a_word_of_its_help(browser_page: Any) -> None:
    browser_page.goto("/submit?recipe=demo")
    browser_page.locator("[data-find-setting]").fill("moving average")
    shown = browser_page.locator("[data-setting]:visible")
    assert {shown.nth(i).locator("label").inner_text() for i in range(shown.count())} == {"ema"}


def test_a_folder_is_picked_by_looking_around(browser_page: Any, served: Any) -> None:
    (served.state_dir / "rounds" / "round1" / "Annotations").mkdir(parents=True)
    browser_page.goto("/submit?recipe=demo")
    browser_page.locator("#f-data").fill(str(served.state_dir))
    browser_page.get_by_role("button", name="Browse…").click()
    browser_page.get_by_role("button", name="rounds/").click()
    browser_page.locator(".browser code").filter(has_text="/rounds").wait_for()
    browser_page.get_by_role("button", name="Use this folder").click()
    assert browser_page.locator("#f-data").input_value() == str(served.state_dir / "rounds")


def test_a_clone_is_edited_and_started_by_keyboard_alone(browser_page: Any, served: Any, small_ir: str) -> None:
    run_id = run_once(served, small_ir, word="hi")
    browser_page.goto(f"/submit?clone={run_id}")
    browser_page.locator("[name='set.word']").focus()
    browser_page.keyboard.press("Control+A")
    browser_page.keyboard.type("ho")
    browser_page.keyboard.press("Enter")
    browser_page.wait_for_url("**/runs/*")
    newest = served.services.reader.runs(limit=1)[0]
    assert newest.run_id in browser_page.url
    assert newest.parameters["word"] == "ho"


def test_a_pipeline_is_uploaded_and_leads_to_its_form(browser_page: Any, served: Any, small_ir: str) -> None:
    browser_page.goto("/pipelines")
    file = {"name": "mine.yaml", "mimeType": "text/yaml", "buffer": small_ir.encode()}
    browser_page.locator("input[type=file]").set_input_files(file)
    browser_page.get_by_role("button", name="Upload").click()
    browser_page.get_by_role("link", name="New run of small").click()
    assert browser_page.locator("h1").inner_text() == "New run of small, version small"


def test_the_addresses_that_the_sdk_prints_open_the_pipeline(browser_page: Any, served: Any, small_ir: str) -> None:
    known = Catalogue(served.services.store)
    made = known.create(Labels("small"), 1.0, small_ir)
    version_id = known.latest(made.pipeline_id).version_id
    browser_page.goto(f"/#/pipelines/details/{made.pipeline_id}/version/{version_id}")
    browser_page.wait_for_url(f"**/pipelines/{made.pipeline_id}/version/{version_id}")
    assert browser_page.locator("h1").inner_text() == "small, version small"


def test_two_runs_are_ticked_and_compared(browser_page: Any, served: Any, small_ir: str) -> None:
    for word in ("hi", "ho"):
        run_once(served, small_ir, word=word)
    browser_page.goto("/compare")
    boxes = browser_page.locator("input[name=run]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    browser_page.get_by_role("button", name="Compare").click()
    assert browser_page.locator("#parameter-table tbody tr").inner_text().split() == ["word", "hi", "ho"]


@pytest.mark.parametrize("width", [360, 1366, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways(browser_page: Any, served: Any, small_ir: str, width: int, scheme: str) -> None:
    first, second = (run_once(served, small_ir, word=word) for word in ("hi", "a-long-word" * 12))
    known = Catalogue(served.services.store)
    pipeline_id = known.create(Labels("small"), 1.0, small_ir).pipeline_id
    browser_page.emulate_media(color_scheme=scheme)
    browser_page.set_viewport_size({"width": width, "height": 800})
    for address in (
        "/submit?recipe=demo&set.round1.epochs=0&set.data.source=" + "x" * 200,
        f"/submit?clone={second}",
        f"/compare?run={first}&run={second}",
        "/compare",
        "/pipelines",
        f"/pipelines/{pipeline_id}",
        "/experiments",
    ):
        browser_page.goto(address)
        assert browser_page.evaluate("document.documentElement.scrollWidth") <= width, address

"""The start page, the list of runs, a run's page and the search, as a person with a browser sees and uses them."""

import threading
import time

import pytest

from benchmarks.console_state import ATTRIBUTES, MODELS, Filler
from pipeline import words
from pipeline.engine.states import RunState
from pipeline.server import run_board

RUNNING = {
    "collar_design_labels/ResNet50V2/train-student": "running",
    "collar_design_labels/ResNet50V2/predict-students": "waiting",
    "collar_design_labels/ensemble": "waiting",
    "coat_length_labels/ResNet50V2/train-round2": "failed",
    "coat_length_labels/ResNet50V2/predict-teachers": "waiting",
}
TABS = (
    "",
    "?tab=dag&open=for-loop-1&open=for-loop-1/for-loop-2",
    "?tab=tasks",
    "?tab=parameters",
    "?tab=cost",
    "?tab=events",
)


@pytest.fixture
def ours(served):
    """A run of ours in the middle: eight attributes by three models."""
    return Filler(served.services.store, time.time()).whole(RUNNING)


@pytest.fixture
def ended(served, small_ir):
    """A run that succeeded and one that failed, of a pipeline that is not ours."""
    engine = served.engine()
    good, bad = (
        engine.create_run(small_ir, {"fail": fail}, name=name) for fail, name in ((False, "good"), (True, "bad"))
    )
    assert [engine.execute(run_id) for run_id in (good, bad)] == [RunState.SUCCEEDED, RunState.FAILED]
    return good, bad


def sideways(page):
    """How many pixels the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_the_board_of_eight_attributes_by_three_models_fits_a_laptop_without_scrolling_sideways(browser_page, ours):
    browser_page.goto(f"/runs/{ours}")
    assert sideways(browser_page) == 0
    board = browser_page.locator("table.board")
    assert board.locator("tbody").count() == len(ATTRIBUTES)
    assert board.locator("th[scope=row]").count() == len(ATTRIBUTES) * len(MODELS)
    widths = board.evaluate("t => [t.getBoundingClientRect().right, innerWidth]")
    assert widths[0] <= widths[1]
    cut = board.evaluate("t => [...t.querySelectorAll('td')].filter(d => d.scrollWidth > d.clientWidth + 1).length")
    assert cut == 0


def test_on_a_phone_the_board_is_a_list_that_opens_what_needs_attention(browser_page, ours):
    browser_page.set_viewport_size({"width": 360, "height": 740})
    browser_page.goto(f"/runs/{ours}")
    assert sideways(browser_page) == 0
    assert not browser_page.locator("table.board").is_visible()
    opened = browser_page.locator(".board-list details[open] summary b").all_inner_texts()
    assert opened == ["coat length", "collar design"]  # one failed, one runs
    assert browser_page.locator(".board-list a.cell-failed").is_visible()


@pytest.mark.parametrize("width", [360, 683, 1366, 1920])  # 683: a laptop at 200 %
def test_no_page_scrolls_sideways_at_any_width(browser_page, ours, ended, width):
    browser_page.set_viewport_size({"width": width, "height": 800})
    for address in ("/", "/runs", "/search?q=label", *(f"/runs/{ours}{tab}" for tab in TABS), f"/runs/{ended[1]}"):
        browser_page.goto(address)
        assert sideways(browser_page) == 0, address


CONTRAST = """() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (part) => part / 255 <= .03928 ? part / 255 / 12.92 : ((part / 255 + .055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const node of document.querySelectorAll("main *, header *, footer *")) {
    const has_text = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!has_text || node.closest("[aria-hidden], svg, :disabled, option") || !node.getClientRects().length) continue;
    const pair = [luminance(parse(getComputedStyle(node).color)), luminance(ground(node))].sort((x, y) => y - x);
    const contrast = (pair[0] + .05) / (pair[1] + .05);
    if (contrast < 4.5) weak.push(`${node.className} ${node.textContent.trim().slice(0, 40)} ${contrast.toFixed(2)}`);
  }
  return weak;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_the_contrast_of_aa_in_light_and_dark(browser_page, ours, ended, scheme):
    browser_page.emulate_media(color_scheme=scheme)
    for address in ("/", "/runs", "/search?q=label", *(f"/runs/{ours}{tab}" for tab in TABS), f"/runs/{ended[1]}"):
        browser_page.goto(address)
        assert browser_page.evaluate(CONTRAST) == [], address


def test_two_ticked_runs_are_compared(browser_page, ended):
    browser_page.goto("/runs")
    button = browser_page.locator("[data-needs-two]")
    assert button.is_disabled()
    for run_id in ended:
        browser_page.locator(f"input[value='{run_id}']").check()
    assert button.inner_text() == "Compare 2 runs"
    button.click()
    assert f"run={ended[0]}" in browser_page.url and f"run={ended[1]}" in browser_page.url


def test_a_choice_filters_at_once(browser_page, ended):
    browser_page.goto("/runs")
    browser_page.get_by_label("State").select_option("failed")
    browser_page.wait_for_url("**/runs?**state=failed**")
    assert browser_page.locator("#runs tbody tr").count() == 1


def test_the_list_is_walked_and_opened_with_the_keyboard_alone(browser_page, ended):
    browser_page.goto("/runs")
    browser_page.keyboard.press("j")
    browser_page.keyboard.press("j")
    browser_page.keyboard.press("k")
    browser_page.keyboard.press("Enter")
    browser_page.wait_for_url(f"**/runs/{ended[1]}")
    browser_page.keyboard.press("/")
    browser_page.keyboard.type("good")
    browser_page.keyboard.press("Enter")
    browser_page.wait_for_url("**/search?q=good")
    assert browser_page.get_by_role("link", name="good", exact=True).is_visible()


def test_a_run_is_followed_live_while_the_page_stays_where_it_is(browser_page, served, small_ir):
    engine = served.engine()
    run_id = engine.create_run(small_ir, {"seconds": 1.0})
    browser_page.goto(f"/runs/{run_id}")
    assert "waiting" in browser_page.locator("h1").inner_text()
    browser_page.evaluate("window.sameDocument = true")
    thread = threading.Thread(target=lambda: served.engine().execute(run_id))
    thread.start()
    browser_page.locator("h1 .state-succeeded").wait_for(timeout=20000)
    thread.join()
    assert browser_page.evaluate("window.sameDocument") is True


DURATIONS = (0.0, 0.44, 9.94, 9.96, 59.4, 59.6, 61.0, 125.2, 3599.4, 3600.0, 3660.0, 7261.0, 90061.0)


def test_durations_that_go_on_are_written_as_the_server_writes_them(browser_page):
    browser_page.goto("/")
    browser_page.wait_for_function("typeof seamline === 'object' && 'duration' in seamline")
    for name, written in (("duration", words.duration), ("brief", run_board.brief)):
        assert browser_page.evaluate(f"all => all.map(seamline.{name})", DURATIONS) == [*map(written, DURATIONS)]


def test_how_long_a_run_has_taken_goes_on_without_the_server_whatever_the_browsers_clock_says(browser_page, ours):
    browser_page.clock.install(time="2020-01-01T00:00:00Z")
    browser_page.goto(f"/runs/{ours}")
    browser_page.wait_for_load_state("networkidle")
    browser_page.context.set_offline(True)
    lasting = browser_page.locator(".said-of-run [data-since]")
    since, told = (float(lasting.get_attribute(name)) for name in ("data-since", "data-now"))
    browser_page.clock.pause_at("2020-01-01T03:00:00Z")
    later = {words.duration(told - since + 3 * 3600 - second) for second in range(60)}  # the page took some to load
    assert lasting.inner_text() in later


def test_what_is_under_the_mouse_stays_there_when_a_failure_appears_above_it(browser_page, served, small_ir):
    browser_page.set_viewport_size({"width": 800, "height": 260})
    run_id = served.engine().create_run(small_ir, {"fail": True, "seconds": 1.0})
    browser_page.goto(f"/runs/{run_id}?tab=parameters")
    tab = browser_page.locator(".tabs a", has_text="Parameters")
    tab.hover()
    before = tab.bounding_box()["y"]
    thread = threading.Thread(target=lambda: served.engine().execute(run_id))
    thread.start()
    browser_page.locator(".cause").wait_for(state="attached", timeout=20000)
    thread.join()
    browser_page.wait_for_timeout(1000)
    assert abs(tab.bounding_box()["y"] - before) <= 1


def test_nothing_moves_under_the_mouse_and_ticks_stay_until_it_leaves(browser_page, served, small_ir, ended):
    browser_page.goto("/runs")
    browser_page.locator(f"input[value='{ended[0]}']").check()  # the mouse is over the table now
    served.engine().create_run(small_ir, {}, name="newcomer")
    browser_page.wait_for_timeout(1800)
    assert browser_page.locator("#runs tbody tr").count() == 2
    browser_page.mouse.move(5, 5)
    browser_page.locator("#runs tbody tr").nth(2).wait_for(timeout=5000)
    assert browser_page.locator(f"input[value='{ended[0]}']").is_checked()
    assert browser_page.locator("[data-needs-two]").inner_text() == "Compare (tick two or more)"


def test_loops_unfold_with_the_keyboard_and_every_box_opens_something(browser_page, ours):
    browser_page.goto(f"/runs/{ours}?tab=dag")
    assert browser_page.locator("svg.dag a.dag-box").count() == 4
    browser_page.locator("svg.dag a[aria-label^=attribute]").focus()
    browser_page.keyboard.press("Enter")
    browser_page.wait_for_url("**open=for-loop-1")
    addresses = browser_page.locator("svg.dag a.dag-box").evaluate_all(
        "links => links.map(a => a.getAttribute('href'))"
    )
    assert len(addresses) == 8 and all(addresses)


def test_a_retry_from_the_browser_makes_the_run_go_on(browser_page, served, ended):
    browser_page.goto(f"/runs/{ended[1]}")
    assert "no good" in browser_page.locator(".cause pre").inner_text()
    browser_page.get_by_role("button", name="Retry: runs 1 task, keeps 1").click()
    browser_page.wait_for_url(f"**/runs/{ended[1]}")
    assert served.services.store.run(ended[1]).state is RunState.PENDING

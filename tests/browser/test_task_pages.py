"""A task in a real browser: the log as it is written, curves, artifacts without rights, and running it again."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from kfp import compiler, dsl

from pipeline.engine.store import Store


def task_address(run_id: str, key: str) -> str:
    return f"/runs/{run_id}/task?key={quote(key, safe='')}"


@pytest.fixture
def made_ir(tmp_path: Path) -> Callable[..., str]:
    """IR of a pipeline of one step `work`, a line of shell; `$0` is its parameter `word`, `$1` the file of its page."""

    def make(shell: str) -> str:
        @dsl.container_component
        def work(word: str, page: dsl.Output[dsl.HTML]):
            return dsl.ContainerSpec(image="img:1", command=["sh", "-c", shell], args=[word, page.path])

        @dsl.pipeline(name="one-step")
        def one_step(word: str = "hello"):
            work(word=word)

        target = tmp_path / "one.yaml"
        compiler.Compiler().compile(one_step, str(target))
        return target.read_text()

    return make


def eventually(look: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits until something holds; the policy of the pages forbids Playwright's own waiting for an expression."""
    until = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.05)


class Running:
    """A run that a thread executes, as the server's dispatcher would."""

    def __init__(self, served: Any, ir: str) -> None:
        self._served = served
        self.run_id = served.engine().create_run(ir, {})
        self._thread = threading.Thread(target=lambda: served.engine().execute(self.run_id), daemon=True)
        self._thread.start()
        store = Store.open(served.state_dir)
        eventually(lambda: bool(store.attempts(self.run_id, "work")))

    def wait(self) -> str:
        """Until it has ended; its id."""
        self._thread.join(timeout=60)
        return self.run_id


@pytest.fixture
def start(served: Any, made_ir: Callable[..., str]) -> Iterator[Callable[[str], Running]]:
    yield lambda shell: Running(served, made_ir(shell))


TICKING = """mkdir -p $(dirname "$1"); echo page > "$1"
i=0
while [ ! -e GATE ]; do i=$((i+1)); echo "tick $i"; echo "::metric {\\"step\\": $i, \\"loss\\": 0.$i}"; sleep 0.05; done
printf 'half a line'; sleep 0.3; echo ' and its end'"""


def test_a_log_is_seen_as_it_is_written_and_the_end_without_a_new_page(
    browser_page: Any, start: Callable[[str], Running], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    running = start(TICKING.replace("GATE", str(gate)))
    browser_page.goto(task_address(running.run_id, "work"))
    browser_page.evaluate("window.same = true")
    browser_page.wait_for_selector(".log .l:has-text('tick 20')", state="attached", timeout=30000)
    log = browser_page.locator(".log")
    assert log.evaluate("l => l.scrollHeight - l.scrollTop - l.clientHeight") < 40  # follows the end
    gate.touch()
    browser_page.wait_for_selector(".task-standing .state-succeeded", timeout=30000)
    browser_page.wait_for_selector(".log .l:has-text('half a line and its end')", timeout=30000)
    assert browser_page.evaluate("window.same")
    texts = [t.strip() for t in browser_page.locator(".log .l:not(.machine)").all_text_contents()]
    ticks = [int(t.split()[1]) for t in texts if t.startswith("tick")]
    assert ticks == list(range(ticks[0], ticks[0] + len(ticks)))  # nothing twice, nothing lost
    assert texts.count("half a line and its end") == 1
    assert browser_page.locator(".curve-plot canvas").count() == 1
    assert browser_page.locator(".log .machine").first.is_hidden()
    browser_page.check("#machine-lines")
    assert browser_page.locator(".log .machine").first.is_visible()


def test_a_reader_who_scrolls_up_is_left_alone(
    browser_page: Any, start: Callable[[str], Running], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    running = start(TICKING.replace("GATE", str(gate)))
    browser_page.goto(task_address(running.run_id, "work"))
    browser_page.wait_for_selector(".log .l:has-text('tick 60')", state="attached", timeout=30000)
    browser_page.locator(".log").evaluate("l => { l.scrollTop = 0; }")
    eventually(lambda: not browser_page.is_checked("#follow"))
    top = (
        "l => [...l.querySelectorAll('.l:not(.machine)')]"
        ".find((e) => e.getBoundingClientRect().top >= l.getBoundingClientRect().top - 2).textContent"
    )
    read = browser_page.locator(".log").evaluate(top)
    last = "() => [...document.querySelectorAll('.log .l:not(.machine)')].at(-1).textContent.split(' ')[1]"
    seen = int(browser_page.evaluate(last))
    eventually(lambda: int(browser_page.evaluate(last)) > seen + 10)
    assert browser_page.locator(".log").evaluate(top) == read
    browser_page.check("#follow")
    eventually(lambda: browser_page.locator(".log").evaluate("l => l.scrollHeight - l.scrollTop - l.clientHeight") < 40)
    gate.touch()
    running.wait()


def test_the_stream_waits_for_who_reads_far_up_and_goes_on_at_the_end(
    browser_page: Any, start: Callable[[str], Running], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    shell = f"while [ ! -e {gate} ]; do seq 100; sleep 0.2; done"
    running = start(f'mkdir -p $(dirname "$1"); echo > "$1"; {shell}; echo finished')
    browser_page.goto(task_address(running.run_id, "work"))
    browser_page.wait_for_selector("#follow")
    eventually(lambda: browser_page.locator(".log .l").count() > 300)
    browser_page.locator(".log").evaluate("l => { l.scrollTop = 100; }")
    eventually(lambda: not browser_page.is_checked("#follow"))
    eventually(lambda: browser_page.locator(".log .l").count() > 2000)
    read = browser_page.locator(".log .l").first.text_content()
    gate.touch()
    running.wait()
    assert browser_page.locator(".log .l").first.text_content() == read
    browser_page.wait_for_selector(".task-standing .state-succeeded", timeout=30000)

    def came_to_the_end() -> bool:
        browser_page.locator(".log").evaluate("l => { l.scrollTop = l.scrollHeight; }")
        return bool(browser_page.locator(".log .l:text-is('finished')").count())

    eventually(came_to_the_end)
    assert browser_page.locator(".log .l").count() <= 2000


def test_a_long_log_keeps_a_bounded_number_of_lines_in_the_page(
    browser_page: Any, start: Callable[[str], Running], served: Any
) -> None:
    run_id = start('mkdir -p $(dirname "$1"); echo > "$1"').wait()
    log = Path(Store.open(served.state_dir).attempts(run_id, "work")[0].directory) / "log"
    log.write_text("".join(f"line {i}\n" for i in range(6000)))
    browser_page.goto(task_address(run_id, "work"))
    assert browser_page.locator(".log .l").count() == 200
    first = 5800
    while first > 0:
        browser_page.locator(".log").evaluate("l => { l.scrollTop = 0; }")
        first -= 200
        browser_page.wait_for_selector(f".log .l:text-is('line {first}')", state="attached", timeout=10000)
        assert browser_page.locator(".log .l").count() <= 2000
    while browser_page.locator(".log .l:text-is('line 5999')").count() == 0:
        last = browser_page.locator(".log .l").last.text_content()
        browser_page.locator(".log").evaluate("l => { l.scrollTop = l.scrollHeight; }")
        eventually(lambda last=last: browser_page.locator(".log .l").last.text_content() != last)
    lines = browser_page.locator(".log .l").all_text_contents()
    numbers = [int(line.split()[1]) for line in lines]
    assert len(numbers) <= 2000 and numbers == list(range(numbers[0], 6000))


def test_html_of_a_task_gets_no_script_and_no_way_out(
    browser: Any, served: Any, start: Callable[[str], Running]
) -> None:
    nasty = (
        "<h1>Artifact</h1><script>top.document.title = 1; document.body.innerHTML = 'ran'</script>"
        "<img src='/runs' onerror='document.body.innerHTML = 1'><form action='/runs'><button>Send</button></form>"
    )
    run_id = start(f'mkdir -p $(dirname "$1"); cat > "$1" <<\'X\'\n{nasty}\nX\n').wait()
    context = browser.new_context(base_url=served.address)
    page = context.new_page()
    page.goto(f"/runs/{run_id}/artifact/view?key=work&name=page")
    frame = page.frame_locator("iframe")
    assert frame.locator("h1").text_content() == "Artifact"
    frame.locator("button").click()
    assert frame.locator("h1").text_content() == "Artifact" and "page" in page.title()
    page.goto(f"/runs/{run_id}/artifact?key=work&name=page")
    assert page.locator("h1").text_content() == "Artifact" and page.evaluate("origin") == "null"
    context.close()


def test_r_leads_to_the_form_whose_plan_follows_what_is_typed(
    browser_page: Any, start: Callable[[str], Running], served: Any
) -> None:
    run_id = start('mkdir -p $(dirname "$1"); echo "$0" > "$1"').wait()
    browser_page.goto(task_address(run_id, "work"))
    browser_page.keyboard.press("r")
    browser_page.wait_for_url("**/rerun?**")
    assert browser_page.locator("#go").text_content().startswith("Run 1 task")
    browser_page.get_by_label("word").fill("bye")
    browser_page.wait_for_selector("#plan-table >> text=parameter word hello -> bye")
    assert "v.word=bye" in browser_page.url
    assert "was hello" in browser_page.locator(".knob-about").first.text_content()
    assert browser_page.get_by_label("word").input_value() == "bye"
    browser_page.get_by_label("word").fill("hello")
    browser_page.wait_for_selector("text=No setting changed")
    browser_page.get_by_label("word").fill("good bye")
    browser_page.locator("#go").click()
    browser_page.wait_for_url(lambda url: "/rerun" not in url)
    runs = Store.open(served.state_dir).runs()
    assert [r.run_id for r in runs][1] == run_id and runs[0].overrides == {"work": {"word": "good bye"}}


def test_everything_is_there_without_script(browser: Any, served: Any, start: Callable[[str], Running]) -> None:
    shell = 'mkdir -p $(dirname "$1"); echo > "$1"; echo "a line"; echo \'::metric {"step": 1, "loss": 0.25}\''
    run_id = start(shell).wait()
    context = browser.new_context(base_url=served.address, java_script_enabled=False)
    page = context.new_page()
    page.goto(task_address(run_id, "work"))
    assert page.locator(".log .l:text-is('a line')").count() == 1
    page.locator("summary", has_text="As a table").click()
    assert page.locator("#points td:text-is('0.25')").is_visible()
    page.get_by_label("Find in the whole log").fill("LINE")
    page.get_by_role("button", name="Find").click()
    assert page.locator(".log-hits li").count() == 1
    page.goto(f"/runs/{run_id}/rerun?key=work")
    page.get_by_label("word").fill("other")
    page.get_by_role("button", name="Update the plan").click()
    assert page.locator("#plan-table >> text=parameter word hello -> other").is_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1366, 1920])
def test_no_page_scrolls_sideways(
    browser: Any, served: Any, start: Callable[[str], Running], width: int, scheme: str
) -> None:
    long = "x" * 300
    run_id = start(
        f'mkdir -p $(dirname "$1"); echo "{long}" > "$1"; echo "{long}"; echo ValueError: {long}; exit 1'
    ).wait()
    context = browser.new_context(
        base_url=served.address, viewport={"width": width, "height": 740}, color_scheme=scheme
    )
    page = context.new_page()
    for address in (
        task_address(run_id, "work"),
        f"/runs/{run_id}/rerun?key=work&v.word={long}",
        f"/runs/{run_id}/retry",
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    context.close()

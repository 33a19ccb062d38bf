"""A real server on a free port and a real browser that looks at it; without Chromium these tests say: not run."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from kfp import compiler, dsl

from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services
from pipeline.serving import domain

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser takes seconds to start: every test of this folder is slow."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class Served:
    """A running server: its address, its state folder, and an engine that makes and executes runs there."""

    address: str
    state_dir: Path
    services: Services

    def engine(self) -> Engine:
        """An engine of the calling thread."""
        return Engine(Store.open(self.state_dir), ProcessLauncher(), pace=Pace(0.02, 1.0))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The whole server over an empty state folder, on a free port of this machine; nothing executes runs by itself."""
    state_dir = tmp_path / "state"
    Store.open(state_dir).close()
    services = Services(state_dir, lambda store: Engine(store, ProcessLauncher(), pace=Pace(0.02, 1.0)), domain())
    stopping = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(services, Access(), stopping), log_level="warning", timeout_graceful_shutdown=1, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", state_dir, services)
    stopping.set()
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, without a window."""
    if not CHROMIUM.exists():
        if os.environ.get("SEAMLINE_REQUIRE_BROWSER") == "1":
            pytest.fail(f"not run: no Chromium at {CHROMIUM}")
        pytest.skip(f"not run: no Chromium at {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()


def _ready(page: Any, arrive: Callable[..., Any]) -> Callable[..., Any]:
    """`page.goto` or `page.wait_for_url` that waits for the console's script, which comes after the first paint."""

    def arrived(address: str, **how: Any) -> Any:
        answer = arrive(address, **how)
        if page.locator("script[data-console]").count():
            page.wait_for_selector("html[data-ready]")
        return answer

    return arrived


@pytest.fixture
def browser_page(browser: Any, served: Served) -> Iterator[Any]:
    """An empty tab of 1366 x 768 whose addresses begin at the server; it fails the test when a page's script fails,
    or when a page asks for something that its own Content-Security-Policy forbids."""
    context = browser.new_context(base_url=served.address, viewport={"width": 1366, "height": 768})
    page = context.new_page()
    troubles: list[str] = []
    page.goto, page.wait_for_url = _ready(page, page.goto), _ready(page, page.wait_for_url)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert not troubles, troubles


@pytest.fixture(scope="session")
def small_ir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """IR of two steps, `first` and `second`; `second` fails with `fail=true` and takes `seconds`."""

    @dsl.container_component
    def first(word: str):
        return dsl.ContainerSpec(image="img:1", command=["sh", "-c", 'echo "said $0"'], args=[word])

    @dsl.container_component
    def second(fail: bool, seconds: float):
        command = ["sh", "-c", 'sleep "$1"; [ "$0" = "true" ] && { echo "ValueError: no good"; exit 3; }; exit 0']
        return dsl.ContainerSpec(image="img:1", command=command, args=[fail, seconds])

    @dsl.pipeline(name="small")
    def small(word: str = "hello", fail: bool = False, seconds: float = 0.0):
        second(fail=fail, seconds=seconds).after(first(word=word))

    target = tmp_path_factory.mktemp("ir") / "small.yaml"
    compiler.Compiler().compile(small, str(target))
    return target.read_text()

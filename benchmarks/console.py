"""Times the console's pages with many runs in the store. Usage: python benchmarks/console.py [RUNS] [REPEATS]

The state folder is made anew in a temporary place: RUNS ended runs of twelve tasks each, and two whole runs of ours
(eight attributes by three models), one running and one failed. A real server answers on a free port of this machine;
the time is from sending the request to the last byte. Where there is a Chromium, its first contentful paint is printed
too: of the first page that a browser opens, and of the next one.
"""

import os
import platform
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.console_state import Filler
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services
from pipeline.serving import domain, make_engine

CHROMIUM = Path("/usr/bin/chromium")
SETTLE_MS = 300  # the script and what it asks for have come
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def filled(folder: Path, runs: int) -> tuple[str, str]:
    """Makes the state folder; returns the ids of the running and of the failed run."""
    store = Store.open(folder)
    filler = Filler(store, time.time())
    filler.many(runs)
    label = "collar_design_labels"
    waiting = {f"{label}/{model}/predict-students": "waiting" for model in ("InceptionResNetV2", "ResNet50V2")}
    running = filler.whole({f"{label}/ResNet50V2/train-student": "running", f"{label}/ensemble": "waiting"} | waiting)
    failed = filler.whole({"pant_length_labels/ResNet50V2/train-round2": "failed"})
    store.move_run(failed, RunState.FAILED, time.time())
    store.close()
    return running, failed


def addresses(running: str, failed: str) -> dict[str, str]:
    """What is measured."""
    return {
        "start": "/",
        "runs, first page": "/runs",
        "runs, text that few have": "/runs?q=nightly&state=failed",
        "runs, by time taken": "/runs?sort=-took",
        "runs, by label": "/runs?tag=recipe%3Ddemo",
        "run: board, running": f"/runs/{running}",
        "run: board, failed": f"/runs/{failed}",
        "run: graph": f"/runs/{failed}?tab=dag&open=for-loop-1",
        "run: tasks": f"/runs/{failed}?tab=tasks",
        "run: parameters": f"/runs/{failed}?tab=parameters",
        "run: cost": f"/runs/{failed}?tab=cost",
        "run: events": f"/runs/{failed}?tab=events",
        "search": "/search?q=lapel",
    }


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A server over the folder that executes nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(Services(folder, make_engine, domain()), Access())
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=5)


def answered(client: httpx.Client, path: str, repeats: int) -> tuple[float, float, float, int]:
    """Median and longest milliseconds of an answer, its CPU time, and its bytes; the first request is not counted.

    CPU time is that of this process, so of the server and of the client that asks: unlike the others it does not
    depend on what else the machine does.
    """
    size = len(client.get(path).raise_for_status().content)
    times, processor = [], []
    for _ in range(repeats):
        begin, spent = time.perf_counter(), time.process_time()
        client.get(path)
        times.append(1000 * (time.perf_counter() - begin))
        processor.append(1000 * (time.process_time() - spent))
    return statistics.median(times), max(times), statistics.median(processor), size


def painted(address: str, paths: dict[str, str], repeats: int) -> dict[str, tuple[float, float]]:
    """Median milliseconds from navigation to first contentful paint: of a browser that has just been opened, and of one
    that has seen another page before; nothing without a browser."""
    if not CHROMIUM.exists():
        return {}
    from playwright.sync_api import sync_playwright

    found: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        for _ in range(repeats):
            for name, path in paths.items():
                first, again = (_paint(browser, address, *visits) for visits in ([path], ["/search", path]))
                found[name].append((first, again))
        browser.close()
    return {name: (statistics.median(f for f, _ in v), statistics.median(a for _, a in v)) for name, v in found.items()}


def _paint(browser: Any, address: str, *visits: str) -> float:
    """First contentful paint of the last of some pages that are visited in a fresh profile."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    for path in visits:
        page.goto(address + path, wait_until="load")
        page.wait_for_timeout(SETTLE_MS)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    context.close()
    return float(paint)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    with tempfile.TemporaryDirectory(prefix="seamline-console-") as folder:
        paths = addresses(*filled(Path(folder), runs))
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        print(f"{runs:,} runs, {size / 1e6:,.0f} MB; {os.cpu_count()} cores, {platform.machine()}")
        with served(Path(folder)) as address, httpx.Client(base_url=address, timeout=60) as client:
            times = {name: answered(client, path, repeats) for name, path in paths.items()}
            paints = painted(address, paths, repeats)
    headings = f"{'page':26} {'median ms':>10} {'longest':>8} {'CPU ms':>7} {'kB':>6}"
    print(f"{headings} {'first paint ms':>15} {'next page ms':>13}")
    for name, (median, longest, processor, length) in times.items():
        paint = "{:15.0f} {:13.0f}".format(*paints[name]) if name in paints else ""
        print(f"{name:26} {median:10.0f} {longest:8.0f} {processor:7.0f} {length / 1000:6.0f} {paint}")


if __name__ == "__main__":
    main()

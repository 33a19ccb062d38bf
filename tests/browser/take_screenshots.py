"""Takes the pictures docs/images/console-*.png of what a state folder holds: real runs, a real server, a real browser.

Usage: PYTHONPATH=.:tests/browser python tests/browser/take_screenshots.py STATE [NAME ...]

Pictures for which there is nothing to show are left out: `board` needs a run at work, `failed` and `rerun` one that
failed, `compare` two that succeeded, `containers` and `pod` one whose tasks ran as such. The server that it starts
executes nothing; a `seamline run` or `seamline serve` beside it may. The paths in STATE show in the pictures, so give
it a neutral name. Those of the documentation show:

    seamline run demo --state /srv/seamline                                        # board, home-dark: meanwhile
    seamline run demo --state /srv/seamline --set ensemble.generation=students     # compare
    seamline run demo --state /srv/seamline --set models.residual.round2.learning_rate=1e12      # failed, rerun
    seamline run demo.toml --state /srv/seamline --launcher docker   # containers: as tests/containers/test_parity.py
    seamline run demo --state /srv/seamline --launcher kubernetes --set placement.gpu=true       # pod
    seamline watch /srv/rounds --recipe demo --state /srv/seamline --once --quiet-s 0    # a copy of the demo's data
"""

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from conftest import ARGUMENTS, CHROMIUM
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from benchmarks.console import served

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
WIDTH, HEIGHT = 1366, 820
LOWER = {"board": 650, "containers": 660, "schedules": 480}  # pages that need less
MOST_BYTES = 150_000
COLOURS = (256, 128, 64, 32)


@dataclass(frozen=True)
class Console:
    """What a server tells about its state folder."""

    client: httpx.Client

    def told(self, path: str, **query: Any) -> Any:
        """What a page or the API says, as JSON."""
        return self.client.get(path, params={"format": "json", **query}).raise_for_status().json()

    def runs(self, *states: str) -> list[str]:
        """Ids of the runs in these states, newest first."""
        listed = self.told("/apis/v2beta1/runs", sort_by="created_at desc", page_size=200).get("runs", [])
        return [run["run_id"] for run in listed if run["state"] in states]

    def failed_task(self) -> str:
        """Address of a failed task of the newest run that has one, `{page}` in place of its page; or nothing."""
        for run_id in self.runs("FAILED", "RUNNING"):
            for task in self.told(f"/seamline/v1/runs/{run_id}/tasks")["tasks"]:
                if task["word"] == "failed" and task["attempts"]:  # a loop has none
                    return f"/runs/{run_id}/{{page}}?key={quote(task['key'], safe='')}"
        return ""

    def ran_as(self, what: str) -> tuple[str, str]:
        """Newest run with tasks that ran as "container" or "Pod", and the key of one, a training if there is one."""
        for run_id in self.runs("SUCCEEDED", "RUNNING"):
            placed = self.told(f"/runs/{run_id}", tab="tasks")["ran_as"]
            if keys := [key for key, place in placed.items() if place.startswith(f"{what} ")]:
                return run_id, next((key for key in keys if "train" in key), keys[0])
        return "", ""


def addresses(console: Console) -> Mapping[str, str]:
    """Name of a picture -> the page that it shows; empty where there is nothing to show."""
    running, ended = console.runs("RUNNING"), console.runs("SUCCEEDED")
    failed = console.failed_task()
    (in_containers, _), (on_cluster, training) = console.ran_as("container"), console.ran_as("Pod")
    wrong = console.told("/pictures", order="wrong")["grid"] if ended else {"tiles": []}
    return {
        "board": f"/runs/{running[-1]}" if running else "",
        "home-dark": "/",
        "containers": f"/runs/{in_containers}?tab=tasks" if in_containers else "",
        "pod": f"/runs/{on_cluster}/task?key={quote(training, safe='')}" if on_cluster else "",
        "failed": failed.format(page="task"),
        "rerun": failed and failed.format(page="rerun") + "&v.model.round2.learning_rate=0.001",
        "submit": "/submit?recipe=demo&set.round1.epochs=24",
        "compare": f"/compare?run={ended[-1]}&run={ended[0]}" if len(ended) > 1 else "",
        "rounds": "/rounds" if console.told("/rounds")["folders"] else "",
        "schedules": "/schedules" if console.told("/schedules")["rows"] else "",
        "models": "/models" if ended else "",
        "picture": f"/pictures/{quote(wrong['tiles'][0]['image_id'])}" if wrong["tiles"] else "",
        "report": f"/runs/{ended[0]}?tab=report" if ended else "",
    }


def photograph(browser: Browser, address: str, scheme: Any, height: int) -> Image.Image:
    """What a laptop shows of a page without scrolling."""
    context = browser.new_context(viewport={"width": WIDTH, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address, wait_until="load")
    page.wait_for_timeout(2000)  # charts are drawn when they come into sight
    picture = page.screenshot()
    context.close()
    return Image.open(io.BytesIO(picture)).convert("RGB")


def keep(picture: Image.Image, file: Path) -> None:
    """Writes a small PNG: as many colours as fit into the limit."""
    for colours in COLOURS:
        picture.quantize(colours, kmeans=3, dither=Image.Dither.NONE).save(file, optimize=True)
        if file.stat().st_size < MOST_BYTES:
            break
    print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


def main(state_dir: Path, is_wanted: Callable[[str], bool]) -> None:
    """Takes the pictures that are wanted and possible."""
    with served(state_dir) as address, httpx.Client(base_url=address, timeout=60) as client:
        found = addresses(Console(client))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
            for name, path in found.items():
                if path and is_wanted(name):
                    scheme = "dark" if name.endswith("-dark") else "light"
                    picture = photograph(browser, address + path, scheme, LOWER.get(name, HEIGHT))
                    keep(picture, IMAGES / f"console-{name}.png")
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), lambda name: not sys.argv[2:] or name in sys.argv[2:])

"""A drawn Open Images, once for all tests of this folder."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components import entry
from components.openimages_subset import settings as subset_settings
from components.openimages_subset import step as subset_step
from components.transfer import settings as transfer_settings
from components.transfer import step as transfer_step
from pipeline.datasets import boats, openimages
from tests.detection_data.fault_server import FaultServer

FILES = {
    "boxes_csv": [openimages.BOXES_FILE],
    "images_csv": [openimages.IMAGES_FILE],
    "classes_csv": openimages.CLASSES_FILE,
}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return boats.draw(tmp_path_factory.mktemp("boats") / "data", seed=5, images=60)


@pytest.fixture(scope="session")
def planted(drawn: Path) -> dict[str, list[str]]:
    return json.loads((drawn / boats.QUIRKS).read_text())["where"]


def outputs(settings: Any, root: str, folder: Path) -> entry.Outputs:
    folder.mkdir(parents=True, exist_ok=True)
    return entry.Outputs({name: folder / name for name in settings.ARTIFACTS}, f"{root}/unfinished/task")


@pytest.fixture(scope="session")
def run_subset(drawn: Path) -> Callable[..., entry.Summary]:
    """The step on drawn files; `knobs` overrule the files' names too."""

    def run(root: Path, seed: int = 0, source: Path = drawn, **knobs: Any) -> entry.Summary:
        inputs = subset_settings.Inputs(data_root=str(root), source=str(source), seed=seed)
        settings = subset_settings.Settings(**(FILES | knobs))
        return subset_step.run(settings, inputs, outputs(subset_settings, str(root), root / "out"))

    return run


@pytest.fixture
def run_transfer() -> Callable[..., entry.Summary]:
    """The step on a subset, with little patience."""

    def run(subset: str, root: str | Path, source: str | Path = "", **knobs: Any) -> entry.Summary:
        inputs = transfer_settings.Inputs(subset=subset, data_root=str(root), source=str(source))
        quick = {"longest_pause_s": 0.02, "attempts": 3} | knobs
        out = outputs(transfer_settings, str(root), Path(source or root) / "out")
        return transfer_step.run(transfer_settings.Settings(**quick), inputs, out)

    return run


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FaultServer, Path]]:
    """A site, and a drawn Open Images whose pictures have their addresses there."""
    with FaultServer() as running:
        yield running, boats.draw(tmp_path_factory.mktemp("world") / "data", seed=7, images=60, sites=(running.url,))


@pytest.fixture
def published(world: tuple[FaultServer, Path]) -> Path:
    return world[1]


@pytest.fixture
def site(world: tuple[FaultServer, Path]) -> FaultServer:
    """The site as on the first day: it has the pictures of the mirror, plays no fault and has seen nobody."""
    running, folder = world
    mirror = folder / openimages.MIRROR / "127.0.0.1"
    files = {f"/{path.relative_to(mirror)}": path.read_bytes() for path in mirror.rglob("*.jpg")}
    running.reset(files)
    return running

"""Small drawn pictures with boxes, as the step split leaves them, and the two steps run on them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from components.artifacts import boxes as box_tables
from components.detect_train import settings as train_settings
from components.detect_train import step as train_step
from components.entry import Outputs, fingerprint
from components.vision.detection import cfg, networks

SIDE = 96
CLASSES = ("Ship", "Buoy")


def scene(generator: np.random.Generator, most: int = 3) -> tuple[np.ndarray, list[tuple[int, list[float]]]]:
    """Noise with ships (bright, wide) and buoys (red, square): (96, 96, 3) uint8, and (class, corners 0..1) of each."""
    pixels = generator.integers(40, 110, (SIDE, SIDE, 3), dtype=np.uint8)
    found: list[tuple[int, list[float]]] = []
    for _ in range(int(generator.integers(1, most + 1))):
        kind = int(generator.integers(2))
        side = int(generator.integers(12, 28))
        width, height = (min(2 * side, 44), side) if kind == 0 else (side, side)
        x, y = (int(generator.integers(0, SIDE - length)) for length in (width, height))
        pixels[y : y + height, x : x + width] = (230, 230, 210) if kind == 0 else (220, 30, 30)
        found = [(k, b) for k, b in found if not _covers((x, y, x + width, y + height), b)]
        found.append((kind, [x / SIDE, y / SIDE, (x + width) / SIDE, (y + height) / SIDE]))
    return pixels, found


def _covers(new: tuple[int, ...], old: list[float]) -> bool:
    """Whether a later thing hides most of an earlier one."""
    x0, y0, x1, y1 = (value * SIDE for value in old)
    common = max(0, min(new[2], x1) - max(new[0], x0)) * max(0, min(new[3], y1) - max(new[1], y0))
    return common > 0.3 * (x1 - x0) * (y1 - y0)


@pytest.fixture
def make_boxes(tmp_path: Path) -> Callable[..., str]:
    """Writes drawn pictures at stage split and gives the reference; `count` pictures of each split."""

    def make(*, seed: int = 0, group: int | None = None, groups_of: bool = False, **count: int) -> str:
        generator = np.random.default_rng(seed)
        pictures, rows, encoded = [], [], []
        for split in box_tables.SPLITS:
            for number in range(count.get(split, 0)):
                name = f"{split}-{number:03d}"
                pixels, things = scene(generator)
                encoded.append((name, simplejpeg.encode_jpeg(pixels, quality=92)))
                pictures.append(_picture(name, split, len(pictures) if group is None else group))
                rows += [_box(name, kind, corners, groups_of) for kind, corners in things]
        folder = tmp_path / "shards"
        folder.mkdir(exist_ok=True)
        box_tables.write_pictures(folder, encoded, per_shard=20)
        table = box_tables.BoxTable(
            box_tables.rows(box_tables.PICTURES, pictures),
            box_tables.rows(box_tables.BOXES, rows),
            box_tables.rows(box_tables.REJECTED, []),
            CLASSES,
            "split",
            SIDE,
        )
        return box_tables.write(str(tmp_path / "data"), table, {}, folder)

    return make


def _picture(name: str, split: str, group: int) -> dict[str, Any]:
    known = {"image_id": name, "split": split, "group": group, "width": SIDE, "height": SIDE}
    return {"url": f"https://example.org/{name}", "bytes": -1, "md5": "", "rotation": 0, "file": f"{name}.jpg"} | known


def _box(name: str, kind: int, corners: list[float], group_of: bool) -> dict[str, Any]:
    flags = dict.fromkeys(box_tables.FLAGS, False) | {"group_of": group_of}
    places = dict(zip(("x_min", "y_min", "x_max", "y_max"), corners, strict=True))
    return {"image_id": name, "class_index": kind, **places, **flags}


NANO = """
[net]
width=96
height=96
[convolutional]
batch_normalize=1
filters=8
size=3
stride=4
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=16
size=3
stride=4
pad=1
activation=leaky
[convolutional]
filters=255
size=1
activation=linear
[yolo]
mask=2,3
anchors=12,12, 24,16, 24,32, 48,32
classes=80
num=4
[route]
layers=0
[convolutional]
filters=255
size=1
activation=linear
[yolo]
mask=0,1
anchors=12,12, 24,16, 24,32, 48,32
classes=80
num=4
"""


@pytest.fixture
def nano() -> list[cfg.Section]:
    """Two scales in a handful of layers: TensorFlow needs a second to get ready for it, not five."""
    return cfg.parse(NANO)


@dataclass(frozen=True)
class Ran:
    """What a step left: the reference it made, metadata of its artifacts, its page, its folder of unfinished work."""

    result: str
    metrics: dict[str, float]
    page: str
    unfinished: Path


QUICK = {
    **{"network": "micro", "anchors": "kmeans", "iterations": 8, "batch": 8, "subdivisions": 1},
    **{"checkpoint_every": 3, "optimiser": "adam", "learning_rate": 2e-3, "precision": "off", "threads": 1},
}


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nano: list[cfg.Section]) -> Callable[..., Ran]:
    """Runs detect_train on a reference; knobs as given over small defaults. Unless `whole`, micro is nano."""
    monkeypatch.setitem(networks.NETWORKS, "micro", lambda: nano)

    def settings_and_inputs(uri: str, seed: int = 0, **knobs: Any) -> tuple[Any, Any]:
        return train_settings.Settings(**(QUICK | knobs)), train_settings.Inputs(uri, str(tmp_path / "data"), seed)

    def unfinished(uri: str, **knobs: Any) -> Path:
        settings, inputs = settings_and_inputs(uri, **knobs)
        return tmp_path / "data" / "unfinished" / fingerprint("detect_train", inputs, settings)

    def run(uri: str, *, whole: bool = False, **knobs: Any) -> Ran:
        if whole:
            monkeypatch.setitem(networks.NETWORKS, "micro", networks.micro)
        settings, inputs = settings_and_inputs(uri, **knobs)
        page, folder = tmp_path / "curves.html", unfinished(uri, **knobs)
        outputs = Outputs({"curves": page, "metrics": tmp_path / "metrics"}, str(folder))
        summary = train_step.run(settings, inputs, outputs)
        return Ran(summary.results["detector"], summary.metadata["metrics"], page.read_text(), folder)

    run.unfinished = unfinished  # type: ignore[attr-defined]
    return run

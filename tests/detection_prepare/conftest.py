"""Transferred pictures with boxes, drawn so that a box can be told from the pixels: what is boxed is red."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from components import entry
from components.artifacts import boxes
from components.boxes_prepare import settings as prepare_settings
from components.boxes_prepare import step as prepare_step
from components.split import settings as split_settings
from components.split import step as split_step

RED = (230, 20, 30)
CORNERS = ("x_min", "y_min", "x_max", "y_max")


def scene(seed: int, width: int = 90, height: int = 60, *things: tuple[float, float, float, float]) -> np.ndarray:
    """A smooth blue and green picture with a red rectangle in every box, (height, width, 3) uint8 RGB."""
    colours = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    colours[..., 0] //= 8
    picture = cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC)
    for thing in things:
        left, top, right, bottom = np.rint(np.array(thing) * np.array([width, height] * 2)).astype(int).tolist()
        cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), RED, -1)
    return picture


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


def jpeg(picture: np.ndarray, quality: int = 92) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()


@dataclass
class Subset:
    """A subset whose pictures are there, or not, as a test wants them."""

    root: Path
    pictures: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    classes: tuple[str, ...] = ("Boat",)
    labels: dict[str, int] = field(default_factory=dict)

    def add(self, image_id: str, data: bytes | None, *found: tuple[float, float, float, float], **about: Any) -> None:
        """Adds a picture with boxes; data None: the file is missing. `about`: rotation, or flags of its boxes."""
        place = f"pictures.example/{image_id}"
        if data is not None:
            target = self.root / "downloads" / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        known = {"url": f"https://{place}", "bytes": -1, "md5": "", "width": 0, "height": 0, "split": "", "group": -1}
        rotation = about.pop("rotation", 0)
        self.pictures.append({"image_id": image_id, "file": place, "rotation": rotation} | known)
        flags = dict.fromkeys(boxes.FLAGS, False) | about
        for box in found:
            row = {"image_id": image_id, "class_index": 0} | dict(zip(CORNERS, box, strict=True))
            self.boxes.append(row | flags)

    def add_others(self) -> None:
        """Pictures beside the one that a test is about: the step split wants some for every side."""
        for number in range(100, 112):
            self.add(f"other{number}", png(scene(number)), (0.2, 0.25, 0.5, 0.75))

    def write(self, stage: str = "transferred") -> str:
        table = boxes.BoxTable(
            boxes.rows(boxes.PICTURES, self.pictures),
            boxes.rows(boxes.BOXES, self.boxes),
            boxes.rows(boxes.REJECTED, [{"image_id": "gone", "url": "", "reason": "404"}]),
            self.classes,
            stage,
            labels=self.labels,
        )
        return boxes.write(str(self.root), table, {"step": "test"})


@dataclass(frozen=True)
class Ran:
    """What a step gave."""

    table: boxes.BoxTable
    reference: str
    metadata: dict[str, Any]
    out: Path

    def page(self, name: str) -> str:
        return (self.out / name).read_text(encoding="utf-8")

    def boxes_of(self, image_id: str) -> np.ndarray:
        """(n, 4)."""
        rows = [row for row in self.table.boxes.to_pylist() if row["image_id"] == image_id]
        return np.array([[row[name] for name in CORNERS] for row in rows]).reshape(-1, 4)


@pytest.fixture
def subset(tmp_path: Path) -> Subset:
    return Subset(tmp_path / "data")


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Ran]:
    def run(subset: Subset, source: str = "", stage: str = "transferred", **knobs: Any) -> Ran:
        settings = prepare_settings.Settings(**({"size_px": 64, "encoding": "png", "workers": 2} | knobs))
        inputs = prepare_settings.Inputs(subset.write(stage), str(subset.root), source)
        return _ran(prepare_step.run(settings, inputs, _outputs(prepare_settings, tmp_path)), tmp_path)

    return run


@pytest.fixture
def split(tmp_path: Path) -> Callable[..., Ran]:
    def run(prepared: str, seed: int = 0, **knobs: Any) -> Ran:
        inputs = split_settings.Inputs(prepared, prepared.rsplit("/", 2)[0], seed)
        done = split_step.run(split_settings.Settings(**knobs), inputs, _outputs(split_settings, tmp_path))
        return _ran(done, tmp_path)

    return run


def _outputs(settings: Any, folder: Path) -> entry.Outputs:
    return entry.Outputs({name: folder / name for name in settings.ARTIFACTS}, str(folder / "unfinished"))


def _ran(summary: entry.Summary, folder: Path) -> Ran:
    made = summary.results["boxes"]
    return Ran(boxes.read(made), made, summary.metadata, folder)

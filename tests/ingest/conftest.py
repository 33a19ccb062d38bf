"""A small delivery of pictures and labels, drawn by the test that needs it, and the step run as a container runs it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from components import entry
from components.artifacts import manifest
from components.ingest import settings, step


def drawn(seed: int, height: int = 60, width: int = 48) -> np.ndarray:
    """A picture of soft random blobs: equal seeds show the same, different ones nothing alike."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def png(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()


def jpeg(rgb: np.ndarray, quality: int = 95) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class Delivery:
    """One round's folder, filled by a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def struct(self) -> dict[str, str]:
        return {"name": self.folder.name, "uri": str(self.folder)}

    def put(self, path: str, data: bytes) -> str:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return path

    def picture(self, path: str, seed: int) -> str:
        return self.put(path, png(drawn(seed)))

    def labels(self, *lines: str, file: str = "Annotations/label.csv", newline: str = "\n") -> None:
        self.put(file, newline.join([*lines, ""]).encode())

    def labelled(self, attribute: str, labels: dict[str, str], start: int = 0) -> None:
        """Draws one picture for every name and writes the label file."""
        rows = [
            (self.picture(f"Images/{attribute}/{name}", start + i), label)
            for i, (name, label) in enumerate(labels.items())
        ]
        self.labels(*(f"{path},{attribute},{label}" for path, label in rows))

    def questions(self, attribute: str, seeds: dict[str, int]) -> None:
        for name, seed in seeds.items():
            self.picture(f"Images/{attribute}/{name}", seed)
        self.labels(*(f"Images/{attribute}/{name},{attribute}," for name in seeds), file="Tests/question.csv")


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    """An empty round1."""
    return Delivery(tmp_path / "round1")


@pytest.fixture
def later(tmp_path: Path) -> Delivery:
    """An empty round2."""
    return Delivery(tmp_path / "round2")


class Result:
    """What one run of the step left behind."""

    def __init__(self, output: dict[str, Any], page: Path) -> None:
        self.reference = output["parameterValues"]["manifest"]
        self.metrics = output["artifacts"]["metrics"]["artifacts"][0]["metadata"]
        self.page = page.read_text(encoding="utf-8")
        self.rows = manifest.read(self.reference)
        self.rejected = manifest.read_rejected(self.reference)
        self.pairs = manifest.read_duplicates(self.reference)
        self.index = json.loads((Path(self.reference) / "index.json").read_text())["content"]

    def row(self, name: str) -> Any:
        """The one row whose picture ends with a name."""
        found = self.rows[self.rows.image_id.str.endswith(name)]
        assert len(found) == 1, f"{len(found)} rows are called {name}"
        return found.iloc[0]


Ingest = Callable[..., Result]


@pytest.fixture
def ingest(tmp_path: Path) -> Ingest:
    """Runs the step through its entry, with the executor input that KFP's launcher would hand over."""

    def run(*rounds: Delivery, attributes: list[Any] | None = None, seed: int = 0, **knobs: Any) -> Result:
        out = tmp_path / "task"
        values = {"rounds": [r.struct for r in rounds], "attributes": attributes or [], "seed": seed}
        message = {
            "inputs": {"parameterValues": values | {"data_root": str(tmp_path / "data")} | knobs},
            "outputs": {
                "parameters": {"manifest": {"outputFile": str(out / "manifest")}},
                "artifacts": {
                    name: {"artifacts": [{"name": name, "uri": str(out / name), "metadata": {}}]}
                    for name in settings.ARTIFACTS
                },
                "outputFile": str(out / "executor_output.json"),
            },
        }
        entry.main(settings, step.run, ["--executor-input", json.dumps(message)])
        return Result(json.loads((out / "executor_output.json").read_text()), out / "data_report")

    return run


@pytest.fixture
def draw() -> Callable[..., np.ndarray]:
    """`drawn`, for test modules, which cannot import this file."""
    return drawn


@pytest.fixture
def encode() -> dict[str, Callable[..., bytes]]:
    """`png` and `jpeg`, for test modules."""
    return {"png": png, "jpeg": jpeg}

"""Drawn pictures, and small data sets with their manifest."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import simplejpeg

from components.artifacts import manifest, reference, storage

CLASSES = ["none", "short", "long"]


def drawn(seed: int, width: int = 60, height: int = 80) -> np.ndarray:
    """A smooth coloured picture with an edge, (height, width, 3) uint8 RGB."""
    colours = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    picture = cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(picture, (width // 4, height // 3), (width // 2, height // 2), (250, 20, 40), -1)
    return picture


def jpeg(picture: np.ndarray) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), 92, "RGB", "444")


@dataclass
class DataSet:
    """Rounds of pictures under one address, and the manifest that ingest would have made of them."""

    pictures: str
    data_root: str
    scratch: Path
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, image_id: str, data: bytes | None, kind: str = "labelled", fold: int = 0, number: int = 1) -> None:
        """Adds a row; data None: the row's picture does not exist."""
        if data is not None:
            storage.write_bytes(f"{self.pictures}/round{number}/{image_id}", data)
        row = {"image_id": image_id, "attribute": "sleeve", "round": number, "kind": kind, "path": image_id}
        row |= {
            "label": "nyn" if kind == "labelled" else "",
            "source_label": "",
            "weight": 1.0,
            "pixels": "",
            "phash": 0,
        }
        row |= {"group": len(self.rows), "fold": fold if kind == "labelled" else -1, "keep": True, "reason": ""}
        self.rows.append(row | {"width": 60, "height": 80})

    def fill(self, labelled: int = 6, pool: int = 2, questions: int = 3) -> None:
        for number in range(labelled):
            self.add(
                f"Images/l{number}.jpg", jpeg(drawn(number, 60 + number, 80)), fold=number % 2, number=1 + number % 2
            )
        for number in range(pool):
            self.add(f"Images/p{number}.jpg", jpeg(drawn(50 + number)), kind="pool", number=2)
        for number in range(questions):
            self.add(f"Images/q{number}.jpg", jpeg(drawn(90 + number, 80, 50)), kind="test", number=2)

    def inputs(self, **more: Any) -> dict[str, Any]:
        """What the pipeline hands to preprocess."""
        content = {"attributes": {"sleeve": {"classes": CLASSES, "ordinal": True}}, "folds": 2, "seed": 0}
        with reference.draft(self.data_root, manifest.KIND) as draft:
            manifest.write(pd.DataFrame(self.rows), draft.folder / manifest.FILE)
            made = draft.commit(content, {})
        rounds = [{"name": f"round{n}", "uri": f"{self.pictures}/round{n}", "digest": ""} for n in (1, 2)]
        return {"manifest": made, "rounds": rounds, "attribute": {"name": "sleeve"}, "data_root": self.data_root} | more


@pytest.fixture
def data_set(tmp_path: Path) -> DataSet:
    return DataSet(str(tmp_path / "pictures"), str(tmp_path / "data"), tmp_path)


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    return drawn


@pytest.fixture
def as_jpeg() -> Callable[[np.ndarray], bytes]:
    return jpeg


@pytest.fixture
def preprocess(tmp_path: Path) -> Callable[..., str]:
    """Runs the step as KFP would, with settings, and returns the shards' reference."""
    from components import entry
    from components.preprocess import settings, step

    def run(inputs: dict[str, Any], **knobs: Any) -> str:
        target = tmp_path / "executor_output.json"
        page = {"artifacts": [{"uri": str(tmp_path / "views.html")}]}
        message = {
            "inputs": {"parameterValues": {"size_px": 32, "encoding": "raw"} | inputs | knobs},
            "outputs": {"outputFile": str(target), "artifacts": {"views_page": page}},
        }
        entry.main(settings, step.run, ["--executor-input", json.dumps(message)])
        return str(json.loads(target.read_text())["parameterValues"]["shards"])

    return run

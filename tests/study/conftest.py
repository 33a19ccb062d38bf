"""Predictions and checkpoints as small as the step study takes them, and a recipe to make variants of."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.artifacts import checkpoint, predictions, reference
from components.entry import Outputs
from components.study import step
from components.study.settings import ARTIFACTS, Inputs, Settings
from components.vision import model as models

CLASSES = ["short", "long", "none"]
ATTRIBUTE = "sleeve_length_labels"


def label(index: int) -> str:
    return "".join("y" if i == index else "n" for i in range(len(CLASSES)))


def probabilities(right: Sequence[bool], truth: Sequence[int]) -> np.ndarray:
    """(n, K) float64 whose largest is at the truth where `right` says so, else beside it."""
    answers = [t if ok else (t + 1) % len(CLASSES) for ok, t in zip(right, truth, strict=True)]
    return np.eye(len(CLASSES))[answers] * 0.7 + 0.1


@pytest.fixture(scope="session")
def weights() -> dict[str, dict[str, np.ndarray]]:
    """Of the two networks that the variants have."""
    return {name: models.export_weights(models.build(name, 28, len(CLASSES))) for name in ("tiny_cnn", "tiny_resnet")}


@pytest.fixture
def data_root(tmp_path: Path) -> str:
    return str(tmp_path / "data")


@pytest.fixture
def trained(data_root: str, weights: dict[str, dict[str, np.ndarray]]) -> Callable[..., str]:
    """Publishes a checkpoint and what it answered; returns the reference of the predictions."""

    def make(
        model: str,
        right: Sequence[bool],
        *,
        backbone: str = "tiny_cnn",
        test_right: Sequence[bool] = (),
        attribute: str = ATTRIBUTE,
        seconds: float | None = 90.0,
        image_id: Sequence[str] | None = None,
    ) -> str:
        about = {
            "attribute": attribute,
            "classes": CLASSES,
            "ordinal": False,
            "size_px": 28,
            "model": model,
            "phase": "round1",
            "backbone": backbone,
            "settings": {},
            "parent": "",
        }
        with reference.draft(data_root, checkpoint.KIND) as draft:
            checkpoint.write_weights(draft.folder / checkpoint.WEIGHTS, weights[backbone], about)
            made_by = {"step": "train"} | ({} if seconds is None else {"seconds": seconds})
            where = draft.commit(about, made_by)
        content = {"attribute": attribute, "classes": CLASSES, "model": model, "checkpoint": Path(where).name}
        frames = [_frame("valid", right, image_id), _frame("test", test_right, None)]
        with reference.draft(data_root, "predictions") as draft:
            rows = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
            predictions.write(rows, draft.folder / predictions.FILE)
            return draft.commit(content, {"step": "predict"})

    return make


def _frame(split: str, right: Sequence[bool], image_id: Sequence[str] | None):
    truth = [i % len(CLASSES) for i in range(len(right))]
    found = probabilities(right, truth)[None] if len(right) else np.empty((1, 0, len(CLASSES)))
    names = image_id or [f"{split}/{i}.png" for i in range(len(right))]
    labels = [label(t) for t in truth] if split == "valid" else [""] * len(right)
    numbers = np.arange(len(right))
    known = predictions.Pictures(names, labels, numbers, numbers.astype(np.int8), numbers.astype(np.int8))
    return predictions.frame_of(split, known, [predictions.MEAN], found, np.log(np.maximum(found, 1e-9)))


@pytest.fixture
def run(data_root: str, tmp_path: Path):
    """Runs the step; returns its reference and the page."""

    def run(predictions_references: Sequence[str], **knobs):
        settings = Settings(**{"resamples": 200, **knobs})
        outputs = Outputs({name: tmp_path / name for name in ARTIFACTS}, f"{tmp_path}/unfinished/x")
        summary = step.run(settings, Inputs(list(predictions_references), data_root), outputs)
        json.dumps(summary.metadata, allow_nan=False)
        return Path(summary.results["study"]), (tmp_path / "page").read_text(encoding="utf-8"), summary

    return run

"""A small world to report on: drawn pictures, a manifest, checkpoints, predictions and ensembles as references."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import checkpoint, ensembles, manifest, predictions, reference

CLASSES = {
    "sleeve_length_labels": ["Invisible", "Sleeveless", "Short", "Long"],
    "collar_design_labels": ["Invisible", "Shirt Collar", "Peter Pan"],
}


@dataclass
class World:
    """Builds references of one data root. `counts`: validation, training and question pictures of an attribute."""

    root: Path
    counts: tuple[int, int, int] = (40, 20, 12)
    classes: dict[str, list[str]] = field(default_factory=lambda: dict(CLASSES))

    @property
    def data_root(self) -> str:
        return str(self.root / "state")

    @property
    def rounds(self) -> list[dict[str, str]]:
        return [{"name": f"round{i}", "uri": str(self.root / f"round{i}"), "digest": f"{i}" * 8} for i in (1, 2)]

    def manifest(self) -> str:
        frame = pd.DataFrame([row for name in self.classes for row in self._rows(name)])
        for path in (self.root / f"round{r}" / p for r, p in zip(frame["round"], frame["path"], strict=True)):
            _draw(path)
        with reference.draft(self.data_root, "manifests") as draft:
            manifest.write(frame, draft.folder / manifest.FILE)
            return draft.commit({"attributes": {}, "folds": 5, "seed": 0}, {})

    def ensembles(self) -> list[str]:
        return [self.ensemble(name) for name in self.classes]

    def ensemble(self, name: str, **content: Any) -> str:
        first = self.predictions(name, "small", "round2")
        second = self.predictions(name, "wide", "student")
        valid, test = self.answers(name, 3)
        about = {
            "attribute": name,
            "classes": self.classes[name],
            "method": "equal",
            "weights": {"small round2": 0.5, "wide student": 0.5},
            "generation": "both",
            "why": "students and teachers together, by their paired interval",
            "students_against_teachers": {"difference": -0.006, "low": -0.011, "high": -0.001, "verdict": "loss"},
            "methods_against_equal": {
                "greedy": {"difference": 0.001, "low": -0.002, "high": 0.004, "verdict": "noise"}
            },
            "error_correlation": {"names": ["small round2", "wide student"], "values": [[1.0, 0.61], [0.61, None]]},
            "metrics": {},
            "inputs": [Path(first).name, Path(second).name],
        }
        return self.write_ensemble(pd.concat([valid, test]), about | content)

    def write_ensemble(self, frame: pd.DataFrame, content: dict[str, Any], stages: pd.DataFrame | None = None) -> str:
        with reference.draft(self.data_root, "ensembles") as draft:
            pq.write_table(
                pa.Table.from_pandas(frame, ensembles.SCHEMA, preserve_index=False), draft.folder / ensembles.FILE
            )
            table = _stages(content["attribute"]) if stages is None else stages
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), draft.folder / ensembles.STAGES_FILE)
            return draft.commit(content, {})

    def checkpoint(self, name: str, model: str, phase: str, parent: str = "") -> str:
        history = _history(len(model) + len(phase))
        about = {
            "attribute": name,
            "model": model,
            "phase": phase,
            "parent": parent,
            "backbone": "tiny",
            "shards": "f" * 32,
        }
        with reference.draft(self.data_root, "checkpoints") as draft:
            pq.write_table(pa.Table.from_pandas(history, preserve_index=False), draft.folder / checkpoint.HISTORY)
            return draft.commit(about | {"settings": {"epochs": 6, "dropout": 0.3}, "metrics": {}}, {})

    def predictions(self, name: str, model: str, phase: str) -> str:
        first = Path(self.checkpoint(name, model, "round1")).name
        last = Path(self.checkpoint(name, model, phase, first)).name
        valid, _ = self.answers(name, 2.2 + 0.1 * len(model))
        n = len(valid)
        about = predictions.Pictures(
            valid["image_id"], valid["label"], valid["group"], np.zeros(n, np.int8), np.ones(n, np.int8)
        )
        probability = np.array(list(valid["probability"])).reshape(1, n, len(self.classes[name]))
        frame = predictions.frame_of("valid", about, ["mean"], probability, np.log(probability))
        with reference.draft(self.data_root, "predictions") as draft:
            predictions.write(frame, draft.folder / predictions.FILE)
            return draft.commit({"attribute": name, "model": model, "phase": phase, "checkpoint": last}, {})

    def answers(self, name: str, skill: float) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Validation and test rows of the ensemble, right more often with more skill."""
        rng = np.random.default_rng(len(name))
        rows = [r for r in self._rows(name) if r["fold"] == 0 or r["kind"] == "test"]
        logits = rng.normal(size=(len(rows), len(self.classes[name])))
        for logit, row in zip(logits, rows, strict=True):
            logit[row["truth"]] += skill
        odds = np.exp(logits)
        frame = pd.DataFrame(
            {
                "image_id": [r["image_id"] for r in rows],
                "split": ["valid" if r["kind"] == "labelled" else "test" for r in rows],
                "label": [r["label"] for r in rows],
                "group": [r["group"] for r in rows],
                "probability": list(odds / odds.sum(axis=1, keepdims=True)),
            }
        )
        return frame[frame["split"] == "valid"], frame[frame["split"] == "test"]

    def _rows(self, name: str) -> list[dict[str, Any]]:
        rng = np.random.default_rng(7)
        kinds = ["valid"] * self.counts[0] + ["train"] * self.counts[1] + ["test"] * self.counts[2]
        return [self._row(name, place, kind, rng) for place, kind in enumerate(kinds)]

    def _row(self, name: str, place: int, kind: str, rng: np.random.Generator) -> dict[str, Any]:
        size = len(self.classes[name])
        truth = int(rng.integers(1, size))  # class 0 has no example, as in round 1 of the contest
        label = "".join("y" if i == truth else "m" if i == truth - 1 and place % 7 == 0 else "n" for i in range(size))
        image_id = f"Images/{name}/{place:04d}.png"
        labelled = kind != "test"
        number = place + 100_000 * list(self.classes).index(name)
        return {
            "image_id": image_id,
            "attribute": name,
            "round": 1 + place % 2,
            "kind": "labelled" if labelled else "test",
            "path": image_id,
            "label": label if labelled else "",
            "source_label": label if labelled else "",
            "weight": 1.0,
            "pixels": f"{number:064x}",
            "phash": number,
            "group": number,
            "fold": {"valid": 0, "train": 1}.get(kind, -1),
            "keep": True,
            "reason": "",
            "width": 40,
            "height": 60,
            "truth": truth,
        }


def _draw(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(int(path.stem))
    picture = np.full((60, 40, 3), 225, np.uint8)
    colour = tuple(int(c) for c in rng.integers(40, 200, 3))
    cv2.rectangle(picture, (13, 14), (27, 44), colour, -1)
    reach = int(rng.integers(1, 12))
    cv2.line(picture, (13, 17), (13 - reach, 17 + 2 * reach), colour, 4)
    cv2.line(picture, (27, 17), (27 + reach, 17 + 2 * reach), colour, 4)
    cv2.circle(picture, (20, 8), 5, (120, 150, 190), -1)
    cv2.imwrite(str(path), picture)


def _history(offset: int) -> pd.DataFrame:
    epochs = np.arange(1, 7)
    fall = np.exp(-epochs / 3)
    return pd.DataFrame(
        {
            "epoch": epochs.astype(float),
            "loss": 0.3 + 1.1 * fall + 0.01 * offset,
            "valid_loss": 0.45 + 0.9 * fall + 0.01 * offset,
            "valid_map": 0.93 - 0.25 * fall - 0.002 * offset,
            "valid_accuracy": 0.86 - 0.3 * fall - 0.002 * offset,
            "accuracy": 0.95 - 0.4 * fall,
            "learning_rate": 1e-3 * fall,
        }
    )


def _interval(difference: float, low: float, high: float, verdict: str) -> dict[str, Any]:
    return {"difference": difference, "low": low, "high": high, "verdict": verdict}


def _stages(name: str) -> pd.DataFrame:
    """As the step ensemble writes it: all models together, then one of them."""
    nothing = (np.nan, np.nan, np.nan, "")
    noise = (0.001, -0.004, 0.006, "noise")
    rows = [
        (name, "round 1", "", 0.881, 0.741, 0.752, 99, "", *nothing, *nothing),
        (
            name,
            "round 2",
            "",
            0.902,
            0.769,
            0.781,
            99,
            "round 1",
            0.021,
            0.009,
            0.034,
            "gain",
            0.029,
            0.01,
            0.05,
            "gain",
        ),
        (name, "round 2 + views", "", 0.9034, 0.77, 0.782, 99, "round 2", 0.0014, -0.0021, 0.0049, "noise", *noise),
        (name, "students", "", 0.8957, 0.76, 0.772, 99, "round 2", -0.0063, -0.0109, -0.0012, "loss", *noise),
        (name, "ensemble", "", 0.9187, 0.79, 0.803, 99, "round 2 + views", 0.0153, 0.0082, 0.0221, "gain", *noise),
        (name, "small: round 1", "small", 0.871, 0.73, 0.742, 99, "", *nothing, *nothing),
        (name, "small: round 2", "small", 0.892, 0.76, 0.771, 99, "small: round 1", 0.021, 0.009, 0.03, "gain", *noise),
    ]
    columns = ["attribute", "stage", "model", "ap", "basic_precision", "accuracy", "rows", "against"]
    columns += ["difference", "ci_low", "ci_high", "p_noise"]
    columns += ["accuracy_difference", "accuracy_low", "accuracy_high", "accuracy_verdict"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="session")
def make_world() -> Callable[[Path], World]:
    return World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)

"""Drawn pictures about which every task of the table can be asked, and the steps of the pipeline, one by one."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from components.artifacts import reference
from components.ensemble import settings as ensemble_settings
from components.ensemble import step as ensemble
from components.entry import Outputs
from components.ingest import settings as ingest_settings
from components.ingest import step as ingest
from components.predict import settings as predict_settings
from components.predict import step as predict
from components.preprocess import settings as preprocess_settings
from components.preprocess import step as preprocess
from components.promote import settings as promote_settings
from components.promote import step as promote
from components.report import settings as report_settings
from components.report import step as report
from components.train import settings as train_settings
from components.train import step as train

SIDE = 32
COLOURS = ("red", "green", "blue")
SIZES = ("1 small", "2 middle", "3 large", "4 huge")
TRAINING = {
    "backbone": "tiny_cnn",
    "weights": "none",
    "frozen_epochs": 0,
    "epochs": 10,
    "batch_size": 16,
    "learning_rate": 3e-3,
    "dropout": 0.0,
    "optimiser": "adamw",
    "patience": 0,
    "rounds": "all",
    "precision": "off",
}


def drawn(generator: np.random.Generator) -> tuple[np.ndarray, dict[str, str]]:
    """A picture with coloured bars, and what is to be seen on it, a column an attribute.

    Left a grey square of one of four sizes, its brightness a number; on the right up to three coloured bars.
    """
    pixels = generator.integers(0, 40, (SIDE, SIDE, 3), dtype=np.uint8)
    size, amount = int(generator.integers(4)), float(generator.uniform(90, 255))
    side = 5 + 3 * size
    pixels[4 : 4 + side, 2 : 2 + side] = round(amount)
    present = [int(generator.integers(2)) for _ in COLOURS]
    for i, is_there in enumerate(present):
        pixels[3 + 9 * i : 10 + 9 * i, 22:30, i] = 230 if is_there else pixels[3 + 9 * i : 10 + 9 * i, 22:30, i]
    colours = "|".join(name for name, is_there in zip(COLOURS, present, strict=True) if is_there)
    return pixels, {
        "bars": colours or "-",
        "red": "with" if present[0] else "without",
        "size": SIZES[size],
        "amount": f"{amount:.2f}",
    }


def png(pixels: np.ndarray) -> bytes:
    """The bytes of a file."""
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


@pytest.fixture(scope="session")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round with a `labels.csv` of 150 pictures: learnt from, held out and asked about."""
    folder = tmp_path_factory.mktemp("drawn") / "round1"
    (folder / "pictures").mkdir(parents=True)
    generator, rows = np.random.default_rng(5), []
    for number in range(150):
        pixels, seen = drawn(generator)
        name = f"pictures/{number:03d}.png"
        (folder / name).write_bytes(png(pixels))
        split = "test" if number % 10 == 0 else "val" if number % 5 == 1 else "train"
        rows.append({"image": name, **seen, "split": split})
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder


@dataclass(frozen=True)
class Journey:
    """What the steps left of one attribute: references by step, the report's folder and page."""

    references: dict[str, str]
    report: Path
    page: str

    def index(self, step: str, kind: str) -> dict:
        """The content of a step's index."""
        return reference.read_index(self.references[step], kind)

    def table(self, name: str) -> pd.DataFrame:
        """One of the report's Parquet files."""
        return pd.read_parquet(self.report / name)


@dataclass(frozen=True)
class Trip:
    """The steps on the way of one attribute of one round; `made` notes what each of them left."""

    place: Path
    rounds: list[dict[str, str]]
    attribute: dict[str, Any]
    made: dict[str, str] = field(default_factory=dict)

    @property
    def own(self) -> dict[str, str]:
        return {"name": self.attribute["name"]}

    @property
    def shared(self) -> dict[str, Any]:
        return {"data_root": str(self.place / "data"), "seed": 1}

    def outputs(self, name: str, *artifacts: str) -> Outputs:
        return Outputs({a: self.place / f"{name}-{a}" for a in artifacts}, str(self.place / "unfinished" / name))

    def pictures(self) -> None:
        summary = ingest.run(
            ingest_settings.Settings(),
            ingest_settings.Inputs(self.rounds, attributes=[self.attribute], **self.shared),
            self.outputs("ingest", "data_report", "metrics"),
        )
        self.made["ingest"] = summary.results["manifest"]
        summary = preprocess.run(
            preprocess_settings.Settings(size_px=SIDE, encoding="raw", workers=1),
            preprocess_settings.Inputs(self.made["ingest"], self.rounds, self.own, **self.shared),
            self.outputs("preprocess", "views_page"),
        )
        self.made["preprocess"] = summary.results["shards"]

    def predictions(self, seed: int, knobs: dict[str, object]) -> str:
        model = {"name": f"model{seed}"}
        summary = train.run(
            train_settings.Settings(**TRAINING | knobs),
            train_settings.Inputs(self.made["preprocess"], self.own, model, **self.shared | {"seed": seed}),
            self.outputs(f"train{seed}", "curves", "metrics"),
        )
        self.made["train"] = summary.results["checkpoint"]
        summary = predict.run(
            predict_settings.Settings(resamples=100),
            predict_settings.Inputs(self.made["preprocess"], self.made["train"], self.own, model, **self.shared),
            self.outputs("predict", "metrics"),
        )
        self.made["predict"] = summary.results["predictions"]
        return self.made["predict"]

    def answers(self, predicted: list[str]) -> None:
        summary = ensemble.run(
            ensemble_settings.Settings(resamples=100),
            ensemble_settings.Inputs(self.own, predicted, **self.shared),
            self.outputs("ensemble", "metrics"),
        )
        self.made["ensemble"] = summary.results["ensemble"]

    def judgement(self) -> Journey:
        written = self.outputs("report", "report_page", "submission", "metrics")
        summary = report.run(
            report_settings.Settings(resamples=100),
            report_settings.Inputs(self.made["ingest"], [self.made["ensemble"]], self.rounds, **self.shared),
            written,
        )
        self.made["report"] = summary.results["report"]
        summary = promote.run(
            promote_settings.Settings(resamples=100, min_overlap=5),
            promote_settings.Inputs(self.made["report"], self.made["ingest"], [self.made["ensemble"]], **self.shared),
            self.outputs("promote", "decision_page"),
        )
        self.made["promote"] = summary.results["decision"]
        page = written.artifacts["report_page"].read_text(encoding="utf-8")
        return Journey(self.made, Path(self.made["report"]), page)


@pytest.fixture
def travel(tmp_path: Path) -> Callable[..., Journey]:
    """Takes one attribute of a round through all steps, with two models; keywords are knobs of the training."""

    def run(folder: Path, attribute: dict, **knobs: object) -> Journey:
        trip = Trip(tmp_path, [{"name": "round1", "uri": str(folder), "digest": ""}], attribute)
        trip.pictures()
        trip.answers([trip.predictions(seed, knobs) for seed in (1, 2)])
        return trip.judgement()

    return run

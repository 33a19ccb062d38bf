"""`seamline run folders --data DIR` on a drawn tree: no class is written down, `val/` judges, a change repeats few."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow
SMALL = (
    "models.lite0.train.backbone=tiny_cnn",
    "train.weights=none",
    "train.frozen_epochs=0",
    "train.epochs=10",
    "train.patience=0",
    "preprocess.size_px=32",
    "report.resamples=100",
    "ensemble.resamples=100",
)


def draw(folder: Path, name: str, kind: int, number: int) -> None:
    """A bright disc or a bright square on noise."""
    pixels = np.random.default_rng([kind, number]).integers(0, 90, (40, 40, 3), dtype=np.uint8)
    centre = 14 + number % 12
    if kind:
        cv2.circle(pixels, (centre, 20), 9, (230, 230, 230), -1)
    else:
        cv2.rectangle(pixels, (centre - 8, 12), (centre + 8, 28), (230, 230, 230), -1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """`train/` and `val/` of squares and discs, and three questions."""
    root = tmp_path_factory.mktemp("shapes")
    for number in range(60):
        for kind, name in enumerate(("a square", "disc")):
            draw(root / ("val" if number % 4 == 0 else "train") / name, f"{number}.png", kind, number)
    for number in range(3):
        draw(root / "test", f"{number}.png", number % 2, 100 + number)
    return root


@pytest.fixture(scope="module")
def run(tree, tmp_path_factory):
    state = tmp_path_factory.mktemp("state")

    def go(*changes):
        sets = [word for change in (*SMALL, *changes) for word in ("--set", change)]
        command = [sys.executable, "-m", "pipeline", "run", "folders", "--data", str(tree), "--state", str(state)]
        done = subprocess.run([*command, *sets, "--json"], capture_output=True, text=True, timeout=580)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return json.loads(done.stdout)

    return go


def test_two_folders_are_learnt_as_a_binary_task_and_what_val_holds_judges(run, tree):
    made = run()
    assert made["scores"]["total"]["accuracy"]["value"] > 0.8
    assert np.array(made["scores"]["attributes"]["class"]["confusion"]).sum(axis=1).tolist() == [15, 15]
    lines = Path(made["submission"]).read_text().splitlines()
    assert [line.split(",")[:2] for line in lines] == [[f"test/{n}.png", "class"] for n in range(3)]
    asked = pd.read_parquet(Path(made["report"]).parent / "questions_answers.parquet")
    assert set(asked["class"]) == {"a square", "disc"}
    assert asked["image_id"].str.startswith("val/").all()

    again = run("report.per_question=3")
    assert again["reused"] >= 5, "only the report and what follows it run again"

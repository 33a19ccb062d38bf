"""A whole study on drawn pictures: killed in the middle it goes on, and what is known is not learnt twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

RECIPE = """
name = "tiny"
seed = 3
[data]
dataset = "demo"
seed = 5
images = 60
[attributes.skirt_length_labels]
[models.plain.train]
backbone = "tiny_cnn"
[generations]
round2 = false
[preprocess]
size_px = 32
views = ["plain"]
[train]
weights = "none"
frozen_epochs = 0
batch_size = 16
epochs = 1
rounds = "all"
[predict]
resamples = 100
[placement]
parallel_models = 1
[placement.cpu]
ingest = 1
preprocess = 1
train = 1
predict = 1
"""
STUDY = """
recipe = "tiny.toml"
seeds = [1, 2]
[variants.plain]
notes = "Plain layers"
[variants.residual]
notes = "Added connections"
train.backbone = "tiny_resnet"
"""


class Place:
    """A study, its state folder, and the command line over them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        (folder / "tiny.toml").write_text(RECIPE)
        (folder / "study.toml").write_text(STUDY)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipeline", *arguments, "--json", "--state", str(self.state)]

    def study(self, *arguments: str) -> dict[str, Any]:
        asked = self.command("study", str(self.folder / "study.toml"), *arguments)
        done = subprocess.run(asked, capture_output=True, text=True, timeout=1000)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def tasks(self) -> dict[str, dict[str, Any]]:
        done = subprocess.run(self.command("show", "latest"), capture_output=True, text=True, timeout=100)
        return {t["label"]: t for t in json.loads(done.stdout)["tasks"]} if done.returncode == 0 else {}


def wait_for(condition: Callable[[], bool], seconds: float = 500) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.5)


def end_all_under(folder: Path) -> None:
    """Ends the processes of a run's tasks: those whose command line names the folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, set[str], dict[str, Any]]:
    """A study whose engine and tasks were killed in its second training and that was started again.

    Returns:
        The place, the tasks that were done when it was killed, and what the second start said.
    """
    here = Place(tmp_path_factory.mktemp("study"))
    asked = here.command("study", str(here.folder / "study.toml"))
    engine = subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: here.tasks().get("skirt_length_labels/plain-seed2/train-round1", {}).get("state") == "RUNNING")
    finally:
        engine.kill()
        engine.wait()
        end_all_under(here.state)
    done = {label for label, task in here.tasks().items() if task["state"] == "SUCCEEDED"}
    return here, done, here.study()


def test_a_killed_study_goes_on_with_the_same_run_and_repeats_nothing(killed) -> None:
    here, done, said = killed
    assert {"ingest", "skirt_length_labels/preprocess", "skirt_length_labels/plain-seed1/train-round1"} <= done
    runs = json.loads(subprocess.run(here.command("runs"), capture_output=True, text=True, timeout=100).stdout)
    assert [run["run_id"] for run in runs] == [said["run_id"]]
    assert {here.tasks()[label]["attempts"] for label in done} == {1}


def test_what_all_variants_share_has_run_once(killed) -> None:
    here, _, _ = killed
    labels = [label.rsplit("/", 1)[-1] for label in here.tasks()]
    assert {name: labels.count(name) for name in set(labels)} == {
        "ingest": 1,
        "preprocess": 1,
        "train-round1": 4,
        "predict": 4,
        "study": 1,
    }


def test_its_table_has_every_seed_the_interval_and_the_hidden_answers(killed) -> None:
    _, _, said = killed
    plain, residual = said["scores"]["variants"]
    assert (plain["name"], residual["name"], said["scores"]["seeds"]) == ("plain", "residual", [1, 2])
    assert set(residual["valid"]["seeds"]) == {"1", "2"} and residual["test"]["mean"] is not None
    found = residual["valid"]["difference"]
    assert found["low"] <= found["difference"] <= found["high"] and found["verdict"] == "noise"
    assert plain["minutes"] > 0 and residual["parameters"] > plain["parameters"]
    assert len(set(plain["valid"]["seeds"].values()) | set(plain["test"]["seeds"].values())) > 1
    page = Path(said["report"])
    assert "Plain layers" in page.read_text() and (page.parent / "residual.svg").exists()


def test_a_second_start_runs_nothing_and_fewer_seeds_only_compare_anew(killed) -> None:
    here, _, first = killed
    again = here.study()
    assert (again["executed"], again["report"]) == (0, first["report"]) and again["run_id"] != first["run_id"]
    fewer = here.study("--set", "seeds=[2]")
    assert fewer["executed"] == 1 and fewer["scores"]["seeds"] == [2]
    assert fewer["scores"]["variants"][1]["valid"]["sd"] is None

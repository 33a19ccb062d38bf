"""A recipe small enough for a whole run within a test: one drawn attribute, two tiny models, an epoch or two."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

RECIPE = """
name = "journey"
description = "The whole pipeline, as small as it gets"
seed = 3

[data]
dataset = "demo"
seed = 5
images = 80

[attributes.skirt_length_labels]

[models.one.train]
backbone = "small_cnn"
[models.two.train]
backbone = "small_resnet"

[preprocess]
size_px = 32
encoding = "png"

[train]
weights = "none"
frozen_epochs = 0
batch_size = 16
epochs = 2

[pseudo_label]
threshold = 0.3
min_precision = 0.0
min_valid = 1

[placement.cpu]
ingest = 1
preprocess = 1
train = 1
predict = 1
[placement.memory_gb]
ingest = 1
preprocess = 1
train = 2
predict = 2
"""


@dataclass(frozen=True)
class Place:
    """A recipe and a state folder, and the command line over them."""

    recipe: Path
    state: Path
    timeout_s: float = 280

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipeline", *arguments, "--state", str(self.state)]

    def seamline(self, *arguments: str) -> dict:
        done = subprocess.run(
            self.command(*arguments, "--json"), capture_output=True, text=True, timeout=self.timeout_s
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    def make(name):
        folder = tmp_path_factory.mktemp(name)
        (folder / "journey.toml").write_text(RECIPE)
        return Place(folder / "journey.toml", folder / "state")

    return make


@pytest.fixture(scope="session")
def finished(place):
    """A place in which the recipe has run once, and what the command said."""
    here = place("finished")
    return here, here.seamline("run", str(here.recipe))

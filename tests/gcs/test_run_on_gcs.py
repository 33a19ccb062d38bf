"""A whole run whose rounds, references and unfinished work lie on gs://, killed in mid-training and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components.artifacts import checkpoint, storage
from pipeline.datasets import registry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

RECIPE = """
name = "journey"
seed = 3
data_root = "{root}"
[attributes.skirt_length_labels]
[models.one.train]
backbone = "small_cnn"
[preprocess]
size_px = 32
encoding = "png"
[train]
weights = "none"
frozen_epochs = 0
batch_size = 16
epochs = 12
[generations]
pseudo = false
"""


class Place:
    """A recipe with its data root, a state folder, and the command line over them."""

    def __init__(self, folder: Path, root: str, data: str) -> None:
        self.folder, self.root, self.data = folder, root, data
        folder.mkdir()
        (folder / "journey.toml").write_text(RECIPE.format(root=root))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipeline", *arguments, "--state", str(self.folder / "state")]

    def run(self) -> list[str]:
        return self.command("run", str(self.folder / "journey.toml"), "--data", self.data, "--json")

    def said(self, command: list[str]) -> dict:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def rounds(tmp_path_factory) -> Path:
    """Two drawn rounds on disk."""
    made = registry.build("demo", tmp_path_factory.mktemp("data"), {"seed": 5, "images": 80})
    return Path(made.rounds[0]["uri"]).parent


def copied(source: Path, address: str) -> str:
    for path in source.rglob("*"):
        if path.is_file():
            storage.write_bytes(f"{address}/{path.relative_to(source)}", path.read_bytes())
    return address


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    while not condition():
        assert process.poll() is None, "it ended before it came so far"
        time.sleep(0.05)


def states(root: str) -> list[str]:
    return [name for name in storage.list_files(f"{root}/unfinished") if name.endswith(checkpoint.STATE)]


def kill_everything_of(folder: Path) -> None:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


def test_killed_in_mid_training_it_goes_on_from_the_bucket_and_gives_the_bytes_of_a_disk(
    bucket: str, rounds: Path, tmp_path: Path
) -> None:
    here = Place(tmp_path / "disk", str(tmp_path / "disk-data"), str(rounds))
    expected = here.said(here.run())
    there = Place(tmp_path / "bucket", f"{bucket}/data", copied(rounds, f"{bucket}/rounds"))
    process = subprocess.Popen(there.run(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: bool(states(there.root)), process)
    finally:
        process.kill()
        process.wait()
        kill_everything_of(there.folder)
    assert states(there.root), "killed too late to prove anything"
    finished = there.said(there.command("retry", "latest", "--json"))
    tasks = there.said(there.command("show", "latest", "--json"))["tasks"]
    logs = "".join(path.read_text(errors="replace") for path in there.folder.rglob("log"))
    assert "going on after epoch" in logs
    for name in ("submission", "report"):
        assert finished[name].startswith(bucket), name
        assert storage.read_bytes(finished[name]) == Path(expected[name]).read_bytes(), name
    assert states(there.root) == [] and all(task["state"] == "SUCCEEDED" for task in tasks)

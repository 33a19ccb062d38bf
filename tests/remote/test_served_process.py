"""A real `seamline serve` on a socket as the endpoint, and the commands as processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.remote import Endpoint

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_of_this_machine")]
ROOT = Path(__file__).parents[2]
TINY = {
    "data.images": 60,
    "boxes_prepare.size_px": 64,
    "detect_train.iterations": 6,
    "detect_train.checkpoint_every": 3,
}


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "pipeline", "serve", "--port", "0", "--state", str(tmp_path / "served")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path) as process:
        try:
            assert process.stderr is not None
            words = process.stderr.readline().split()
            assert words[:1] == ["console"], process.stderr.read()
            yield words[1]
        finally:
            process.terminate()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def seamline(address: str, *words: str) -> tuple[int, Any]:
    """Exit code of a command, and what it says on stdout."""
    command = [sys.executable, "-m", "pipeline", *words, "--host", address, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment(), check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def states(address: str, run_id: str) -> dict[str, str]:
    code, told = seamline(address, "show", run_id)
    assert code == 0
    return {task["name"]: task["state"] for task in told["tasks"]}


def test_a_small_run_fails_is_shown_and_goes_on(address, machine, mended_ir, tmp_path):
    file = tmp_path / "wanted"
    parameters = {"counter": str(machine.counter), "path": str(file)}
    endpoint = Endpoint(address)
    assert endpoint.shares_files()
    run_id = endpoint.submit_version(mended_ir, parameters, "mended")
    assert [now.run.state for now in endpoint.wait(run_id, poll_s=0.1)][-1] == "FAILED"
    assert states(address, run_id) == {"ingest": "SUCCEEDED", "check": "FAILED", "report": "SKIPPED"}
    assert machine.ran() == ["ingest()"]
    file.touch()
    code, told = seamline(address, "retry", run_id)
    assert (code, told["state"], told["run_id"]) == (0, "SUCCEEDED", run_id)
    assert [line.partition("(")[0] for line in machine.ran()] == ["check", "report"]
    assert set(states(address, run_id).values()) == {"SUCCEEDED"}


def test_a_recipe_is_submitted_with_paths_of_this_machine_fails_and_goes_on(address, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    in_the_way = data / "downloads"  # a file where a step wants a folder
    in_the_way.touch()
    tiny = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
    words = ["submit", "boats_demo", "--state", str(tmp_path / "own"), "--set", f"data_root={data}", *tiny, "--wait"]
    code, told = seamline(address, *words)
    assert (code, told["state"]) == (1, "FAILED") and str(in_the_way) in told["problem"]
    before = states(address, told["run_id"])
    assert before["transfer"] == "FAILED" and before["openimages-subset"] == "SUCCEEDED" and len(before) == 6
    in_the_way.unlink()
    code, told = seamline(address, "retry", told["run_id"])
    assert (code, told["state"]) == (0, "SUCCEEDED"), told
    assert set(states(address, told["run_id"]).values()) == {"SUCCEEDED"}

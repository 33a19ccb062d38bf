"""A real `seamline serve` on a socket as the endpoint, and the commands as processes of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.remote import Endpoint

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("nothing_of_this_machine"),
]
START_S = 120.0
ROOT = Path(__file__).parents[2]
TINY = {
    "data.images": 60,
    "boxes_prepare.size_px": 64,
    "detect_train.iterations": 6,
    "detect_train.checkpoint_every": 3,
}


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    words = ["-m", "pipeline", "serve", "--port", "0", "--state", str(tmp_path / "served")]
    with served(tmp_path, *words) as address:
        yield address


@contextmanager
def served(folder: Path, *words: str) -> Iterator[str]:
    """The address of a server; what it says goes into a file, since a pipe that nobody reads stops it one day."""
    said = folder / "said"
    with (
        said.open("w") as stderr,
        subprocess.Popen([sys.executable, *words], stderr=stderr, env=environment(), cwd=folder) as process,
    ):
        try:
            yield console(process, said)
        finally:
            process.terminate()


def console(process: "subprocess.Popen[bytes]", said: Path) -> str:
    """The address in the line that the server says when it listens."""
    ends = time.monotonic() + START_S
    while time.monotonic() < ends and process.poll() is None:
        lines = [line.split() for line in said.read_text().splitlines(keepends=True) if line.endswith("\n")]
        found = [words[1] for words in lines if words[:1] == ["console"]]
        if found:
            return found[0]
        time.sleep(0.1)
    pytest.fail(f"the server does not say where its console is; it says: {said.read_text()}")


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


def test_a_server_that_says_more_than_a_pipe_holds_is_met_and_one_that_does_not_start_fails_the_test(tmp_path):
    warns = "import sys; print('warning\\n' * 50_000, 'console http://h', sep='', file=sys.stderr, flush=True); "
    with served(tmp_path, "-c", warns + "__import__('time').sleep(600)") as address:
        assert address == "http://h"
    with (
        pytest.raises(pytest.fail.Exception, match="it says: no port is free"),
        served(tmp_path, "-c", "exit('no port is free')"),
    ):
        pass


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

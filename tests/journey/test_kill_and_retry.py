"""`kill -9` in the middle of training, then `seamline retry`: nothing committed runs twice, the bytes are the same."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def tasks_of(here, run="latest"):
    done = subprocess.run(here.command("show", run, "--json"), capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout)["tasks"] if done.returncode == 0 else []


def wait_for(condition, seconds=200):
    deadline = time.time() + seconds
    while time.time() < deadline:
        if found := condition():
            return found
        time.sleep(0.3)
    raise AssertionError("it never came so far")


def trainings_running(here):
    return [task for task in tasks_of(here) if "train-round2" in task["label"] and task["state"] == "RUNNING"]


def processes_under(folder: Path) -> list[int]:
    """Processes whose command line names the folder: the step processes of a run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def killed(place):
    """A run whose engine and tasks were killed while round 2 trained, and its tasks at that moment."""
    here = place("killed")
    engine = subprocess.Popen(
        here.command("run", str(here.recipe)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: trainings_running(here))
        time.sleep(4)
    finally:
        engine.kill()
        engine.wait()
    for process in processes_under(here.state):
        os.kill(process, signal.SIGKILL)
    return here, {task["label"]: task for task in tasks_of(here)}


def test_retry_repeats_only_what_was_not_committed_and_gives_the_same_bytes(killed, finished):
    here, before = killed
    committed = {label for label, task in before.items() if task["state"] == "SUCCEEDED"}
    assert committed, "killed too early to prove anything"
    said = here.seamline("retry", "latest")
    after = {task["label"]: task for task in tasks_of(here)}
    assert {label for label in committed if after[label]["attempts"] != before[label]["attempts"]} == set()

    there, reference = finished
    names = {name: Path(reference[name]).relative_to(there.state) for name in ("submission", "report")}
    for name, path in names.items():
        assert Path(said[name]).relative_to(here.state) == path
        assert Path(said[name]).read_bytes() == Path(reference[name]).read_bytes(), name

"""Containers when an engine dies in mid-step: ours by kill -9, Docker's in both of its modes, and the whole machine."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from pipeline import local
from pipeline.engine.failures import Evidence, FailureKind, classify
from pipeline.engine.states import RunState
from pipeline.engine.store import Store

pytestmark = pytest.mark.slow

COUNT = "for i in $(seq 1 40); do echo line $i; sleep 0.1; done"
LINES = "".join(f"line {i}\n" for i in range(1, 41))
START = """
import os, pathlib, sys
from pipeline.engine.docker_container import Surroundings
from pipeline.engine.docker_launch import DockerLauncher
from pipeline.engine.launch import Job, Whose
state, image, script = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
folder = state / "runs" / "run" / "task" / "attempt-1"
folder.mkdir(parents=True)
launcher = DockerLauncher(Surroundings(state, f"{os.getuid()}:{os.getgid()}", 1))
handle = launcher.start(Job(["sh", "-c", script], image, {}, folder, whose=Whose("run", "task", 1)))
print(handle, flush=True)
if sys.argv[4] == "release":
    launcher.release(handle)
print("released", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def engine_of_its_own(lab: Any, script: str, release: str = "release") -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Another process that starts a container: its handle, and the process."""
    command = [sys.executable, "-c", START, str(lab.state), lab.image, script, release]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        handle = process.stdout.readline().strip()
        process.stdout.readline()
        yield handle, process
    finally:
        process.kill()
        process.wait()


def test_a_container_outlives_the_engine_and_its_log_is_complete(lab: Any) -> None:
    with engine_of_its_own(lab, f"{COUNT}; exit 7") as (handle, process):
        lab.wait_for_words(handle, "line 5\n")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(lab.containers()) == 1
    ended = lab.finish(lab.launcher(), handle)
    assert ended.code == 7
    assert lab.log_of(handle) == LINES
    assert lab.containers() == []


def test_a_container_that_ended_while_no_engine_looked_is_collected(lab: Any) -> None:
    with engine_of_its_own(lab, "echo all; exit 3") as (handle, process):
        process.send_signal(signal.SIGKILL)
        process.wait()
    lab.containers()[0].wait()
    ended = lab.finish(lab.launcher(), handle)
    assert (ended.code, lab.log_of(handle)) == (3, "all\n")


def test_an_engine_that_dies_before_the_release_leaves_nothing_that_runs(lab: Any) -> None:
    with engine_of_its_own(lab, "echo never", "keep") as (handle, process):
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert lab.finish(lab.launcher(), handle).code is None
    assert lab.log_of(handle) == "" and lab.containers() == []


RUN = """
import sys
from pathlib import Path
from pipeline import local
engine = local.open_engine(Path(sys.argv[1]), launcher="docker")
engine.execute(sys.argv[2])
"""
STEP = """
import json, sys, time
message = json.loads(sys.argv[1])
with open(message["inputs"]["parameterValues"]["data_root"] + "/begun", "a") as stream:
    stream.write("once\\n")
print("begun", flush=True)
time.sleep(4)
with open(message["outputs"]["parameters"]["out"]["outputFile"], "w") as stream:
    stream.write("made")
"""


def test_a_killed_run_goes_on_with_the_container_that_it_had(
    lab: Any, compile_ir: Callable[[Any], str], tmp_path: Path
) -> None:
    image = lab.image

    @dsl.container_component
    def made(data_root: str, out: dsl.OutputPath(str)):  # type: ignore[no-untyped-def,valid-type]
        return dsl.ContainerSpec(image=image, command=["python3", "-c", STEP], args=["{{$}}"])

    @dsl.pipeline(name="one-step")
    def one_step(data_root: str) -> None:
        made(data_root=data_root)

    root = tmp_path / "data"
    run_id = local.open_engine(lab.state, launcher="docker").create_run(
        compile_ir(one_step), {"data_root": str(root)}, name="one"
    )
    process = subprocess.Popen([sys.executable, "-c", RUN, str(lab.state), run_id])
    lab.wait_until(lambda: (root / "begun").exists())
    process.send_signal(signal.SIGKILL)
    process.wait()
    engine = local.open_engine(lab.state, launcher="docker")
    engine.retry(run_id)
    assert engine.execute(run_id) is RunState.SUCCEEDED
    task = next(task for task in Store.open(lab.state).tasks(run_id) if task.is_leaf)
    assert task.outputs.parameters["out"] == "made"
    assert (root / "begun").read_text() == "once\n"
    assert lab.containers() == []


def test_with_live_restore_dockerd_s_death_changes_nothing(lab: Any, mortal: Any) -> None:
    mortal.end()
    mortal.start("--live-restore")
    launcher = lab.launcher()
    handle = lab.begin(launcher, lab.job("sh", "-c", f"{COUNT}; exit 7"))
    lab.wait_for_words(handle, "line 5\n")
    mortal.end(signal.SIGKILL)
    assert launcher.poll(handle) is None
    launcher.signal(handle, kill=False)  # nobody hears it, and nothing breaks
    mortal.start("--live-restore")
    ended = lab.finish(launcher, handle)
    assert (ended.code, lab.log_of(handle)) == (7, LINES)


def test_without_live_restore_dockerd_s_death_is_no_success_and_no_fault_of_the_task(lab: Any, mortal: Any) -> None:
    launcher = lab.launcher()
    handle = lab.begin(launcher, lab.job("sh", "-c", "echo before; sleep 60; echo after"))
    lab.wait_for_words(handle, "before")
    mortal.end(signal.SIGKILL)
    assert launcher.poll(handle) is None
    mortal.start()
    ended = lab.finish(launcher, handle, 90)
    assert ended.code != 0
    assert classify(Evidence(ended.code, usage=ended.usage)).kind is FailureKind.PREEMPTED
    assert lab.log_of(handle) == "before\n"


def test_an_end_while_dockerd_was_dead_is_told_truly(lab: Any, mortal: Any) -> None:
    launcher = lab.launcher()
    go = lab.job("true", name="x").directory / "go"
    script = f"echo before; while [ ! -e {go} ]; do sleep 0.1; done; exit 7"
    handle = lab.begin(launcher, lab.job("sh", "-c", script, name="x"))
    lab.wait_for_words(handle, "before")
    pid = lab.containers()[0].attrs["State"]["Pid"]
    mortal.end(signal.SIGKILL)
    go.touch()
    lab.wait_until(lambda: not Path(f"/proc/{pid}/exe").exists())
    mortal.start()
    assert lab.finish(launcher, handle, 90).code == 7


def test_after_the_machine_s_death_nothing_counts_as_success(lab: Any, mortal: Any) -> None:
    launcher = lab.launcher()
    handle = lab.begin(launcher, lab.job("sh", "-c", "echo before; sleep 60"))
    lab.wait_for_words(handle, "before")
    pid = lab.containers()[0].attrs["State"]["Pid"]
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    mortal.end(signal.SIGKILL)
    for victim in (parent, pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    mortal.start()
    assert lab.finish(launcher, handle, 90).code != 0

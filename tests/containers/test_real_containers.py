"""The Docker launcher over a real engine: ends, limits, users, files, signals, leftovers."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import ir
from pipeline.engine.failures import Evidence, FailureKind, classify

pytestmark = pytest.mark.slow

EAT = "import sys; kept = [bytearray(10**7) for _ in range(100)]; print('ate all')"


def kind_of(ended: Any) -> FailureKind:
    """The class that the engine will find."""
    return ended.failure.kind if ended.failure else classify(Evidence(ended.code, usage=ended.usage)).kind


@pytest.mark.parametrize(
    ("command", "code", "log"),
    [
        ("echo hi", 0, "hi\n"),
        ("exit 3", 3, ""),
        ("echo one; exit 2", 2, "one\n"),
        ("kill -9 $$", 137, ""),
        ("kill -15 $$", 143, ""),
    ],
)
def test_a_command_ends_with_its_own_exit_code(lab: Any, command: str, code: int, log: str) -> None:
    ended, said = lab.run("sh", "-c", command)
    assert (ended.code, said) == (code, log)
    assert lab.containers() == []


def test_stdout_and_stderr_both_go_to_the_log(lab: Any) -> None:
    _, said = lab.run("sh", "-c", "echo one; echo two >&2")
    assert sorted(said.split()) == ["one", "two"]


def test_a_command_that_does_not_exist_ends_with_127(lab: Any) -> None:
    ended, said = lab.run("no-such-program")
    assert ended.code == 127
    assert "no-such-program" in said


def test_a_command_runs_only_after_its_release(lab: Any) -> None:
    launcher, job = lab.launcher(), lab.job("touch", "ran")
    handle = launcher.start(job)
    assert launcher.poll(handle) is None
    launcher.signal(handle, kill=False)
    assert lab.finish(launcher, handle).code is None
    assert lab.containers() == []


def test_the_leftover_of_the_same_attempt_makes_way(lab: Any) -> None:
    job = lab.job("echo", "second")
    lab.launcher().start(job)  # its engine died before it wrote the handle down
    launcher = lab.launcher()
    handle = lab.begin(launcher, job)
    assert lab.finish(launcher, handle).code == 0
    assert lab.log_of(handle) == "second\n"
    assert lab.containers() == []


def test_a_container_that_was_never_released_is_removed_by_whoever_adopts_it(lab: Any) -> None:
    handle = lab.launcher().start(lab.job("echo", "never"))
    ended = lab.launcher().poll(handle)
    assert ended is not None and ended.code is None
    assert lab.containers() == []


def test_out_of_memory_is_told_from_a_kill(lab: Any) -> None:
    ate, _ = lab.run("python3", "-c", EAT, name="ate", memory_bytes=64 << 20)
    killed, _ = lab.run("sh", "-c", "kill -9 $$", name="killed", memory_bytes=64 << 20)
    assert (ate.code, kind_of(ate)) == (137, FailureKind.OUT_OF_MEMORY)
    assert (killed.code, kind_of(killed)) == (137, FailureKind.PREEMPTED)


def test_a_child_that_ran_out_of_memory_does_not_decide_for_the_command(lab: Any) -> None:
    ended, _ = lab.run("sh", "-c", f'python3 -c "{EAT}"; exit 3', memory_bytes=64 << 20)
    assert (ended.code, kind_of(ended)) == (3, FailureKind.BUG)


def test_a_missing_image_and_a_missing_gpu_are_not_started_with_a_fix(lab: Any) -> None:
    no_image, _ = lab.run("true", name="image", image="nowhere/none:1")
    no_gpu, said = lab.run("true", name="gpu", gpus=(0,))
    assert kind_of(no_image) is kind_of(no_gpu) is FailureKind.NOT_STARTED
    assert "docker pull nowhere/none:1" in no_image.failure.fix
    assert "NVIDIA" in no_gpu.failure.fix
    assert "cannot start" in said
    assert lab.containers() == []


def test_a_missing_network_is_not_started(lab: Any) -> None:
    ended, _ = lab.run("true", around={"network": "no-such-network"})
    assert kind_of(ended) is FailureKind.NOT_STARTED


def test_no_engine_is_not_started(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    ended, _ = lab.run("true")
    assert kind_of(ended) is FailureKind.NOT_STARTED
    assert "start the Docker Engine" in ended.failure.fix


@pytest.mark.parametrize(("kill", "code"), [(False, 42), (True, 137)])
def test_a_command_is_asked_to_end_or_ended(lab: Any, kill: bool, code: int) -> None:
    launcher = lab.launcher()
    script = "trap 'echo heard; exit 42' TERM; echo ready; while :; do sleep 0.1; done"
    handle = lab.begin(launcher, lab.job("sh", "-c", script))
    lab.wait_for_words(handle, "ready")
    launcher.signal(handle, kill)
    assert lab.finish(launcher, handle).code == code
    assert ("heard" in lab.log_of(handle)) is not kill


def test_whoever_ignores_sigterm_runs_on_until_sigkill(lab: Any) -> None:
    launcher = lab.launcher()
    handle = lab.begin(launcher, lab.job("sh", "-c", "trap '' TERM; echo ready; sleep 60"))
    lab.wait_for_words(handle, "ready")
    launcher.signal(handle, kill=False)
    assert launcher.poll(handle) is None
    launcher.signal(handle, kill=True)
    ended = lab.finish(launcher, handle)
    assert (ended.code, kind_of(ended)) == (137, FailureKind.PREEMPTED)


def test_children_hear_the_signal_too(lab: Any) -> None:
    launcher = lab.launcher()
    child = "trap 'echo child heard; exit' TERM; echo ready; while :; do sleep 0.1; done"
    parent = f'trap : TERM; sh -c "{child}" & wait; wait; echo after'  # it lives until the child has said so
    handle = lab.begin(launcher, lab.job("sh", "-c", parent))
    lab.wait_for_words(handle, "ready")
    launcher.signal(handle, kill=False)
    lab.finish(launcher, handle)
    assert "child heard" in lab.log_of(handle)


def test_limits_are_seen_inside(lab: Any) -> None:
    shared = {"emptyDirMounts": [{"volumeName": "shm", "mountPath": "/dev/shm", "sizeLimit": "96Mi"}]}
    container = ir.Container("i", ("sh",), (), {}, {"resourceCpuLimit": "500m"}, kubernetes=shared)
    script = (
        "df -k /dev/shm | tail -1; "
        "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2> /dev/null; "
        "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2> /dev/null; "
        "grep -E 'CapEff|NoNewPrivs' /proc/self/status"
    )
    ended, said = lab.run("sh", "-c", script, memory_bytes=128 << 20, container=container)
    assert ended.code == 0
    assert " 98304 " in said  # KiB of shared memory
    assert str(128 << 20) in said
    assert "50000" in said  # of 100000 us
    assert "CapEff:\t0000000000000000" in said and "NoNewPrivs:\t1" in said


def test_a_container_without_network_has_none(lab: Any) -> None:
    _, said = lab.run("ls", "/sys/class/net", around={"network": "none"})
    assert said.split() == ["lo"]


def test_only_its_own_folder_and_what_is_writable_can_be_written(lab: Any, tmp_path: Path) -> None:
    given, hidden = tmp_path / "given", tmp_path / "hidden"
    for folder in (given, hidden):
        folder.mkdir()
        (folder / "file").write_text("text")
    own = lab.job("true").directory
    script = f"cat {given}/file; ls {hidden}; touch {given}/new; touch {own}/out"
    ended, said = lab.run("sh", "-c", script, paths=(str(given), "/etc/passwd", "/"))
    assert ended.code == 0
    assert "text" in said
    assert "Read-only file system" in said and f"cannot access '{hidden}'" in said
    assert (own / "out").exists()


def test_files_belong_to_the_engine_s_user(lab: Any) -> None:
    if os.geteuid():
        pytest.skip("takes root to be somebody else")
    lab.state.mkdir()
    lab.around = type(lab.around)(lab.state, "1234:1234", 1)
    ended, said = lab.run("sh", "-c", f"id -u; touch {lab.job('x').directory}/out; touch $HOME/cache && echo home")
    out = lab.job("x").directory / "out"
    assert (ended.code, said) == (0, "1234\nhome\n")
    assert (out.stat().st_uid, out.stat().st_gid) == (1234, 1234)


def test_the_log_is_bounded(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.engine.supervise.HEAD_BYTES", 1 << 16)
    monkeypatch.setattr("pipeline.engine.supervise.TAIL_BYTES", 1 << 10)
    ended, said = lab.run("sh", "-c", "seq 1 100000; echo '::progress {\"done\": 1}'; echo the end")
    assert ended.code == 0
    assert len(said) < (1 << 17)
    assert said.startswith("1\n2\n") and said.rstrip().endswith("the end") and "::progress" in said


def test_a_container_s_labels_say_whose_it_is(lab: Any) -> None:
    launcher = lab.launcher()
    handle = launcher.start(lab.job("true"))
    labels = lab.containers()[0].labels
    assert (labels["seamline.run"], labels["seamline.task"]) == ("run00000", "task")
    assert labels["seamline.attempt"] == "1"
    launcher.signal(handle, kill=True)


def test_the_end_is_noted_before_the_container_is_removed(lab: Any) -> None:
    launcher, job = lab.launcher(), lab.job("sh", "-c", "exit 5")
    handle = lab.begin(launcher, job)
    first = lab.finish(launcher, handle)
    assert json.loads((job.directory / "exit.json").read_text())["code"] == 5
    assert lab.launcher().poll(handle) == first


def test_what_a_step_of_ours_has_used_is_noted_and_of_another_command_how_long_it_ran(lab: Any) -> None:
    source = Path(__file__).parents[2] / "components" / "usage.py"
    step = f"import runpy; runpy.run_path({str(source)!r})['note_at_end'](); kept = bytearray(50 << 20)"
    ours, _ = lab.run("python3", "-c", step, name="ours", around={"readable": (str(source),)})
    assert 50 << 20 < ours.usage["max_rss_bytes"] < 200 << 20
    assert 0 < ours.usage["cpu_s"] <= ours.usage["wall_s"] * 2
    # The engine notes the start a moment after the command began: a little less than what it slept may be measured.
    other, _ = lab.run("sleep", "2", name="other")
    assert set(other.usage) == {"oom_kills", "wall_s"}
    assert other.usage["wall_s"] > 1

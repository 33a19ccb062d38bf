"""A step that holds a GPU and does nothing ends itself, and one that works is left alone, however silent it is."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components import idle, progress
from components.idle import Signs
from pipeline.engine.failures import Evidence, FailureKind, classify

MINUTE_S = 60.0
WAITS = "import time; from components import idle; idle.watch_from_environment(); time.sleep(60)"


class Step:
    """A step as the watch sees it: what it shows at every look, a minute of which has passed."""

    def __init__(self, shows: Callable[[float], Signs]) -> None:
        self.now = 0.0
        self.shows = shows
        self.ended: list[tuple[float, str]] = []

    def watch(self, limit_s: float, until_s: float) -> list[tuple[float, str]]:
        class Over(Exception):
            pass

        def sleep(seconds: float) -> None:
            self.now += seconds
            if self.now > until_s:
                raise Over

        def end(why: str) -> None:
            self.ended.append((self.now, why))

        with contextlib.suppress(Over):
            idle.watch(limit_s, lambda: self.shows(self.now), end, lambda: self.now, sleep)
        return self.ended


SIGNS_OF_LIFE = {
    "it says a line now and then": lambda now: Signs(int(now // 1000), 0.0),
    "a GPU computes now and then": lambda now: Signs(0, 0.0, gpu_busy=now % 900 < 30),
    "a tenth of a core is busy": lambda now: Signs(0, now / 10),
}


@pytest.mark.parametrize("shows", SIGNS_OF_LIFE.values(), ids=SIGNS_OF_LIFE)
def test_a_step_with_any_sign_of_life_is_left_alone(shows: Callable[[float], Signs]) -> None:
    assert Step(shows).watch(30 * MINUTE_S, until_s=24 * 60 * MINUTE_S) == []


def test_a_step_without_one_is_ended_after_the_limit_and_told_why() -> None:
    ((at, why),) = Step(lambda now: Signs(7, now * 0.01)).watch(30 * MINUTE_S, until_s=24 * 60 * MINUTE_S)
    assert 30 * MINUTE_S <= at <= 31 * MINUTE_S
    assert why.startswith("idle: no line, no busy GPU and hardly any CPU for 30 minutes")


def test_the_limit_counts_from_the_last_sign_of_life() -> None:
    ((at, _),) = Step(lambda now: Signs(int(min(now, 2000) // 100), 0.0)).watch(600.0, until_s=9000.0)
    assert 2600.0 <= at <= 2700.0


def test_a_real_process_that_waits_for_ever_ends_itself_and_the_engine_calls_it_a_timeout() -> None:
    environment = os.environ | {idle.LIMIT: "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-P", "-c", WAITS], env=environment, capture_output=True, text=True)
    assert ended.returncode == idle.EXIT
    failure = classify(Evidence(ended.returncode, ended.stderr.splitlines()))
    assert failure.kind is FailureKind.TIMEOUT
    assert failure.cause.startswith("idle: no line, no busy GPU and hardly any CPU for 0.0167 minutes")
    assert failure.fix == "find out what the step waits for, or raise placement.idle_minutes"


@pytest.mark.parametrize("value", ["", "0", "soon"])
def test_without_a_limit_nobody_watches(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(idle.LIMIT, value)
    monkeypatch.setattr(idle, "watch", lambda *_: pytest.fail("watched"))
    idle.watch_from_environment()


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A program of that name that prints what the test says."""

    def says(text: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    yield says


@pytest.mark.parametrize(
    ("text", "busy"),
    [("printf '0\\n37\\n'", True), ("printf '0\\n0\\n'", False), ("echo '[N/A]'", False), ("exit 9", False)],
)
def test_the_gpus_are_asked_through_nvidia_smi(nvidia_smi: Callable[[str], None], text: str, busy: bool) -> None:
    nvidia_smi(text)
    assert idle.signs_of_this_process().gpu_busy is busy


def test_every_line_that_a_step_says_counts(capsys: pytest.CaptureFixture[str]) -> None:
    before = progress.num_lines()
    progress.log("a line")
    progress.metric(1, loss=0.5)
    progress.made("train", {}, {})
    assert progress.num_lines() == before + 3


def test_a_step_that_is_asked_to_end_ends_with_the_code_that_counts_as_preempted() -> None:
    code = (
        "import sys, types, time, dataclasses\n"
        "from components import entry\n"
        "settings = types.ModuleType('components.fake.settings')\n"
        "from components.knobs import given\n"
        "root = ('data_root', str, given('where references live'))\n"
        "settings.Inputs = dataclasses.make_dataclass('Inputs', [root], frozen=True)\n"
        "settings.Settings = dataclasses.make_dataclass('Settings', [], frozen=True)\n"
        "settings.RESULTS, settings.ARTIFACTS = {}, {}\n"
        "def run(*_):\n    print('works', flush=True); time.sleep(60)\n"
        "entry.main(settings, run, ['--data-root', 'd'])\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-c", code]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as step:
        assert step.stdout and step.stdout.readline() == "works\n"
        step.send_signal(signal.SIGTERM)
        assert step.wait() == 128 + signal.SIGTERM
    assert classify(Evidence(step.returncode)).kind is FailureKind.PREEMPTED

"""The machine under the engine misbehaves: clocks jump, somebody holds the database, disks are full or read-only."""

import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl, kubernetes
from kfp.dsl import OutputPath

from pipeline.engine import database, dispatch
from pipeline.engine.budget import Budget
from pipeline.engine.dispatch import Dispatcher
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.records import Event
from pipeline.engine.runner import Engine
from pipeline.engine.states import RUN_ENDED, RunState
from pipeline.engine.store import FILE, Store
from pipeline.engine.tools import Pace
from pipeline.errors import StateError

DAY = 86400.0


@pytest.fixture
def limited(step: Any, ir_of: Any) -> str:
    """One task that may take 100 s and has one retry after 50 s."""
    work = step("work", {})

    def p() -> None:
        kubernetes.set_timeout(work().set_retry(1, backoff_duration="50s"), 100)

    return str(ir_of(p))


def jump(machine: Any, after: float, by: float) -> None:
    """Sets the clock, after some seconds."""
    machine.clock.alarms[machine.clock.time + after] = lambda: setattr(machine.clock, "ahead", by)


@pytest.mark.parametrize("by", [-DAY, DAY])
def test_a_clock_that_jumps_neither_ends_a_task_early_nor_lets_it_go_on(
    machine: Any, limited: str, happening: Any, by: float
) -> None:
    machine.launcher.does = {"work": happening(seconds=80)}
    jump(machine, 10, by)
    assert machine.states(machine.run(limited)) == {"work": "SUCCEEDED"}
    machine.launcher.does = {"work": happening(seconds=1000)}
    machine.code["work"] = "v2"
    jump(machine, 10, -by)
    begin = machine.clock.time
    run_id = machine.run(limited)
    assert [a.reason.split(";")[0] for a in machine.store.attempts(run_id, "work")] == ["timed out after 100 s"] * 2
    assert 250 <= machine.clock.time - begin < 256


@pytest.mark.parametrize("by", [-DAY, DAY])
def test_a_clock_that_jumps_changes_no_wait(machine: Any, limited: str, happening: Any, by: float) -> None:
    happenings = iter([happening(code=1), happening()])
    machine.launcher.does = {"work": lambda _: next(happenings)}
    jump(machine, 10, by)
    begin = machine.clock.time
    assert machine.states(machine.run(limited)) == {"work": "SUCCEEDED"}
    assert 51 <= machine.clock.time - begin < 55
    assert all(task.seconds >= 0 for task in machine.tasks(machine.store.run("latest").run_id).values())


@pytest.mark.parametrize("by", [-DAY, DAY])
def test_a_clock_that_jumps_changes_no_time_of_grace(machine: Any, limited: str, happening: Any, by: float) -> None:
    machine.launcher.does = {"work": happening(seconds=90, ignores_term=True)}
    run_id = machine.engine.create_run(limited, {})
    begin = machine.clock.time
    machine.clock.alarms[begin + 10] = machine.engine.stop
    jump(machine, 11, by)
    assert machine.engine.execute(run_id) is RunState.CANCELED
    assert 15 <= machine.clock.time - begin < 17


def test_a_wait_survives_a_restart_and_is_not_longer_than_its_policy_if_the_clock_was_set_back(
    machine: Any, limited: str, happening: Any
) -> None:
    happenings = iter([happening(code=1), happening()])
    machine.launcher.does = {"work": lambda _: next(happenings)}
    run_id = machine.engine.create_run(limited, {})
    execution = machine.engine.begin(machine.store.run(run_id))
    for _ in range(20):
        execution.turn()
        machine.clock.sleep(0.5)
    execution.let_go()
    machine.store.forget_executor(run_id)  # as if its process were gone
    machine.clock.ahead = -365 * DAY
    machine.engine.retry(run_id)
    begin = machine.clock.time
    assert machine.engine.execute(run_id) is RunState.SUCCEEDED
    assert machine.clock.time - begin <= 3610  # the longest wait of the policy, by default an hour


# Real processes and a real disk from here on.


def counted(name: str, seconds: float = 0.3) -> Any:
    """A component that writes down, outside the state folder, that it ran."""

    def spec(x: str, out: OutputPath(str)) -> dsl.ContainerSpec:  # type: ignore[valid-type]
        source = (
            f"import json, os, sys, time;open(os.environ['SIDE_EFFECTS'], 'a').write('{name} '); time.sleep({seconds});"
            "open(json.loads(sys.argv[1])['outputs']['parameters']['out']['outputFile'], 'w').write('x')"
        )
        return dsl.ContainerSpec(image="i", command=["python", "-c", source], args=["{{$}}"])

    spec.__name__ = name
    return dsl.container_component(spec)


@pytest.fixture
def three(ir_of: Any) -> str:
    """one -> two -> three."""
    one, two, three = counted("one"), counted("two"), counted("three")

    def p() -> None:
        three(x=two(x=one(x="x").outputs["out"]).outputs["out"])

    return str(ir_of(p))


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Which commands ran."""
    monkeypatch.setenv("SIDE_EFFECTS", str(tmp_path / "ran"))
    return lambda: (tmp_path / "ran").read_text().split()


def make_engine(store: Store, on_event: Callable[[Event], None] | None = None) -> Engine:
    return Engine(store, ProcessLauncher(), budget=Budget(4, 1 << 33), pace=Pace(0.02, 1.0), on_event=on_event)


def test_an_engine_waits_for_whoever_holds_the_database_longer_than_sqlite_waits(
    tmp_path: Path, three: str, ran: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_S", 0.1)
    store = Store.open(tmp_path / "state")

    def hold() -> None:
        other = sqlite3.connect(tmp_path / "state" / FILE, isolation_level=None)
        for _ in range(4):
            other.execute("BEGIN IMMEDIATE")
            time.sleep(0.4)
            other.execute("ROLLBACK")
            time.sleep(0.1)

    engine = make_engine(store)
    run_id = engine.create_run(three, {})
    holder = threading.Thread(target=hold)
    holder.start()
    assert engine.execute(run_id) is RunState.SUCCEEDED
    holder.join()
    assert ran() == ["one", "two", "three"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs root, to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> None:
    """Leaves not a byte."""
    with (disk / "filler").open("ab", buffering=0) as stream:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while stream.write(b"x" * size) == size:
                    pass
            except OSError:
                continue


class FillsAt:
    """Fills a disk at the N-th line of the journal."""

    def __init__(self, disk: Path, number: int) -> None:
        self.disk, self.left = disk, number

    def __call__(self, event: Event) -> None:
        self.left -= event.sequence > 0
        if self.left == 0:
            fill(self.disk)


@pytest.mark.parametrize("moment", [1, 6, 8, 11, 14])
def test_a_full_disk_ends_a_command_with_an_error_and_a_retry_goes_on_without_repeating_what_was_done(
    small_disk: Path, three: str, ran: Callable[[], list[str]], moment: int
) -> None:
    store = Store.open(small_disk / "state")
    run_id = make_engine(store).create_run(three, {})
    with pytest.raises((OSError, sqlite3.OperationalError), match="No space left|disk is full|disk I/O"):
        make_engine(store, FillsAt(small_disk, moment)).execute(run_id)
    done = [task.name for task in store.tasks(run_id) if task.state == "SUCCEEDED"]
    (small_disk / "filler").unlink()
    store.close()
    store = Store.open(small_disk / "state")
    store.forget_executor(run_id)  # the command's process has ended
    engine = make_engine(store)
    engine.retry(run_id)
    assert engine.execute(run_id) is RunState.SUCCEEDED
    assert [ran().count(name) for name in done] == [1] * len(done)


@pytest.mark.parametrize("moment", [2, 6, 8, 11, 14])
def test_a_server_on_a_full_disk_pauses_and_goes_on_when_there_is_space(
    small_disk: Path, three: str, ran: Callable[[], list[str]], moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "PAUSE_S", 0.2)
    store, stopped = Store.open(small_disk / "state"), threading.Event()
    engine = make_engine(store, FillsAt(small_disk, moment))
    run_id = make_engine(store).create_run(three, {})
    store.listen(FillsAt(small_disk, moment))
    give_up, freed = time.monotonic() + 20, [0.0]

    def sleep(seconds: float) -> None:
        full = (small_disk / "filler").exists()
        freed[0] = freed[0] or (time.monotonic() + 1.5 if full else 0.0)
        if full and time.monotonic() > freed[0]:
            (small_disk / "filler").unlink()
        if store.run(run_id).state in RUN_ENDED or time.monotonic() > give_up:
            stopped.set()
        time.sleep(seconds)

    Dispatcher(engine, store, sleep).run(stopped)
    assert freed[0], "the disk was never full"
    assert store.run(run_id).state is RunState.SUCCEEDED
    assert ran() == ["one", "two", "three"]


def test_how_a_command_ended_is_noted_even_on_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    from pipeline.engine.launch import Job

    folder, launcher = small_disk / "attempt", ProcessLauncher()
    folder.mkdir()
    handle = launcher.start(Job(["sh", "-c", "sleep 0.3; echo said; exit 5"], "i", dict(os.environ), folder))
    launcher.release(handle)
    end = time.monotonic() + 20
    while not (folder / "log").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    fill(small_disk)
    while (ended := launcher.poll(handle)) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert ended.code == 5


def test_a_state_folder_on_a_read_only_disk_is_refused_in_one_line_and_can_be_read(
    small_disk: Path, three: str
) -> None:
    store = Store.open(small_disk / "state")
    run_id = make_engine(store).create_run(three, {})
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StateError) as refused:
        Store.open(small_disk / "state")
    assert "cannot be used" in str(refused.value) and "--state" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert Store.open(small_disk / "state", read_only=True).run(run_id).state is RunState.PENDING

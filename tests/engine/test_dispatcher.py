"""The dispatcher: many runs at once on one machine, and what goes wrong with one of them stays its own."""

import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from pipeline.engine.budget import Budget
from pipeline.engine.dispatch import PAUSE_S, Dispatcher
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.states import RUN_ENDED, RunState
from pipeline.engine.store import Store
from pipeline.errors import PipelineError, StateError


@pytest.fixture
def one(step: Any, ir_of: Any) -> str:
    """A pipeline of one task, `work`."""
    work = step("work", {"x": str})

    def p(x: str = "x"):  # type: ignore[no-untyped-def]
        work(x=x)

    return str(ir_of(p))


@pytest.fixture
def two(step: Any, ir_of: Any) -> str:
    """first -> second."""
    first, second = step("first", {"x": str}), step("second", {"x": str})

    def p(x: str = "x"):  # type: ignore[no-untyped-def]
        second(x=first(x=x).outputs["out"])

    return str(ir_of(p))


class Server:
    """A dispatcher over the machine in memory, with a second store beside it, as a server's pages have one."""

    def __init__(self, machine: Any, at_once: int = 4) -> None:
        self.machine = machine
        self.stopped = threading.Event()
        self.most_live = 0
        self.dispatcher = Dispatcher(machine.engine, machine.store, self._sleep, at_once)
        self.pages = Engine(Store.open(machine.directory), machine.launcher, clock=machine.clock)

    def _sleep(self, seconds: float) -> None:
        self.most_live = max(self.most_live, len(self.dispatcher._live))
        self.machine.clock.sleep(seconds)
        if not self.machine.store.waiting_runs():
            self.stopped.set()

    def run_until_done(self) -> None:
        self.stopped.clear()
        self.dispatcher.run(self.stopped)

    def run_for(self, seconds: float) -> None:
        """Works until that much time has passed, then ends without ending any task."""
        self.stopped.clear()
        self.machine.clock.alarms[self.machine.clock.time + seconds] = self.stopped.set
        self.dispatcher.run(self.stopped)

    def states(self, *run_ids: str) -> list[str]:
        return [str(self.machine.store.run(run_id).state) for run_id in run_ids]


@pytest.fixture
def server(machine: Any) -> Server:
    return Server(machine)


def test_runs_made_while_it_works_are_executed_in_the_order_in_which_they_were_made(
    machine: Any, server: Server, one: str, happening: Any
) -> None:
    early = [machine.engine.create_run(one, {"x": str(n)}) for n in range(3)]
    late: list[str] = []
    later = machine.clock.time + 5
    machine.clock.alarms[later] = lambda: late.append(server.pages.create_run(one, {"x": "late"}))
    machine.launcher.does = {"work": happening(seconds=10)}
    server.run_until_done()
    assert server.states(*early, *late) == ["SUCCEEDED"] * 4
    started = [machine.store.run(run_id).started for run_id in (*early, *late)]
    assert started == sorted(started)


def test_all_runs_share_the_machine_and_each_gets_its_turn(
    machine: Any, server: Server, step: Any, ir_of: Any, happening: Any
) -> None:
    work = step("work", {"x": int, "run": str})

    def p(run: str = ""):  # type: ignore[no-untyped-def]
        with dsl.ParallelFor([1, 2, 3]) as x:
            work(x=x, run=run).set_cpu_limit("2")

    machine.launcher.does = {"work": happening(seconds=7)}
    runs = [machine.engine.create_run(ir_of(p), {"run": str(n)}) for n in range(5)]
    server.run_until_done()
    assert server.states(*runs) == ["SUCCEEDED"] * 5
    assert machine.launcher.most_at_once == 2  # of 4 CPUs, whichever runs they belong to
    assert len(machine.launcher.started) == 15
    assert server.most_live == 4


def test_a_run_whose_tasks_found_no_room_starts_them_when_another_run_gives_it_back(
    machine: Any, server: Server, one: str, happening: Any
) -> None:
    machine.new_engine(cpu_slots=1.0)
    server = Server(machine)
    machine.launcher.does = {"work": happening(seconds=20)}
    runs = [machine.engine.create_run(one, {"x": str(n)}) for n in range(4)]
    server.run_until_done()
    assert server.states(*runs) == ["SUCCEEDED"] * 4
    assert machine.launcher.most_at_once == 1


def test_equal_work_of_several_runs_is_done_once(machine: Any, server: Server, one: str, happening: Any) -> None:
    machine.launcher.does = {"work": happening(seconds=20)}
    runs = [machine.engine.create_run(one, {}) for _ in range(4)]
    server.run_until_done()
    assert server.states(*runs) == ["SUCCEEDED"] * 4
    assert machine.launcher.started == ["work"]
    assert machine.tasks(runs[3])["work"].origin == (runs[0], "work")


def test_a_task_that_needs_the_whole_machine_is_not_overtaken_for_ever(
    machine: Any, one: str, step: Any, ir_of: Any, happening: Any
) -> None:
    big = step("big", {})

    def p() -> None:
        big().set_cpu_limit("4")

    server = Server(machine, at_once=8)
    machine.launcher.does = {"work": happening(seconds=7)}
    for n in range(60):  # they end one by one, so that there is never room for four
        later = machine.clock.time + 2 * n
        machine.clock.alarms[later] = lambda n=n: server.pages.create_run(one, {"x": str(n)})
    machine.clock.alarms[machine.clock.time + 5] = lambda: server.pages.create_run(ir_of(p), {})
    server.run_until_done()
    assert len(machine.launcher.started) == 61
    assert 10 < machine.launcher.started.index("big") < 30


def test_a_task_that_waits_for_a_gpu_does_not_keep_the_processors_idle(
    machine: Any, step: Any, ir_of: Any, happening: Any
) -> None:
    small, train = step("small", {"x": int}), step("train", {"x": int})

    def p() -> None:
        with dsl.ParallelFor([1, 2]) as y:
            train(x=y).set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
        with dsl.ParallelFor(list(range(40))) as x:
            small(x=x)

    machine.new_engine(gpus=1)
    machine.launcher.does = {"train": happening(seconds=1000), "small": happening(seconds=1)}
    run_id = machine.run(ir_of(p))
    tasks = machine.tasks(run_id).values()
    first_training = min(t.ended for t in tasks if t.name == "train")
    assert all(t.ended < first_training for t in tasks if t.name == "small")


def test_terminating_a_queued_run_ends_it_at_once_although_there_is_no_place(
    machine: Any, one: str, happening: Any
) -> None:
    server = Server(machine, at_once=1)
    machine.launcher.does = {"work": happening(seconds=100)}
    runs = [machine.engine.create_run(one, {"x": str(n)}) for n in range(3)]
    begin = machine.clock.time
    machine.clock.alarms[begin + 10] = lambda: server.pages.terminate(runs[2])
    server.run_until_done()
    assert server.states(*runs) == ["SUCCEEDED", "SUCCEEDED", "CANCELED"]
    assert machine.store.run(runs[2]).ended - begin < 12
    assert len(machine.launcher.started) == 2


def test_terminating_a_running_run_ends_its_tasks_and_no_other_run(
    machine: Any, server: Server, one: str, happening: Any
) -> None:
    machine.launcher.does = {"work": happening(seconds=100)}
    runs = [machine.engine.create_run(one, {"x": str(n)}) for n in range(2)]
    machine.clock.alarms[machine.clock.time + 10] = lambda: server.pages.terminate(runs[0])
    server.run_until_done()
    assert server.states(*runs) == ["CANCELED", "SUCCEEDED"]
    assert machine.states(runs[0]) == {"work": "CANCELED"}


def test_a_retry_is_picked_up_without_being_told(machine: Any, server: Server, two: str, happening: Any) -> None:
    machine.launcher.does = {"second": happening(code=1)}
    run_id = machine.engine.create_run(two, {})
    server.run_until_done()
    assert server.states(run_id) == ["FAILED"]
    machine.launcher.does = {}
    server.pages.retry(run_id)
    server.run_until_done()
    assert server.states(run_id) == ["SUCCEEDED"]
    assert machine.launcher.started == ["first", "second", "second"]


def test_a_run_is_taken_up_with_its_failed_tasks_and_its_back_offs_as_they_were(
    machine: Any, step: Any, ir_of: Any, happening: Any
) -> None:
    broken, flaky, slow = (step(name, {}) for name in ("broken", "flaky", "slow"))

    def p() -> None:
        broken()
        flaky().set_retry(1, backoff_duration="500s")
        slow()

    happenings = iter([happening(code=1), happening()])
    machine.launcher.does = {
        "broken": happening(code=1),
        "flaky": lambda _: next(happenings),
        "slow": happening(seconds=50),
    }
    run_id = machine.engine.create_run(ir_of(p), {})
    Server(machine).run_for(20)
    assert machine.states(run_id) == {"broken": "FAILED", "flaky": "PENDING", "slow": "RUNNING"}
    due = machine.tasks(run_id)["flaky"].retry_at
    machine.new_engine()
    Server(machine).run_until_done()
    assert machine.states(run_id) == {"broken": "FAILED", "flaky": "SUCCEEDED", "slow": "SUCCEEDED"}
    assert machine.launcher.started.count("broken") == machine.launcher.started.count("slow") == 1
    assert due <= machine.store.attempts(run_id, "flaky")[1].started < due + 2


def test_an_interrupted_stop_is_finished(machine: Any, server: Server, one: str, happening: Any) -> None:
    machine.launcher.does = {"work": happening(seconds=1000, ignores_term=True)}
    run_id = machine.engine.create_run(one, {})
    machine.clock.alarms[machine.clock.time + 10] = lambda: server.pages.terminate(run_id)
    server.run_for(12)
    assert server.states(run_id) == ["CANCELING"]
    machine.new_engine()
    Server(machine).run_until_done()
    assert server.states(run_id) == ["CANCELED"]
    assert machine.store.attempts(run_id, "work")[0].exit_code == -9


class Disk:
    """Breaks the store's writing methods for one run while it is full."""

    def __init__(self, store: Store, run_id: str, error: Exception) -> None:
        self.full = False
        self.refused = 0
        for name in ("put_nodes", "begin_attempt", "end_attempt", "move_run", "move_task", "advance_log"):
            setattr(store, name, self._watched(getattr(store, name), run_id, error))

    def _watched(self, whole: Callable[..., Any], run_id: str, error: Exception) -> Callable[..., Any]:
        def write(first: Any, *args: Any, **kwargs: Any) -> Any:
            if self.full and run_id in (first, getattr(first, "run_id", "")):
                self.refused += 1
                raise error
            return whole(first, *args, **kwargs)

        return write


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database or disk is full"),
        OSError(28, "No space left on device"),
        sqlite3.OperationalError("database is locked"),
    ],
)
@pytest.mark.parametrize("moment", [0, 1, 3, 5, 8])
def test_a_disk_that_is_full_pauses_the_run_and_nothing_is_lost_or_done_twice(
    machine: Any, two: str, happening: Any, error: Exception, moment: float, caplog: pytest.LogCaptureFixture
) -> None:
    machine.launcher.does = {"first": happening(seconds=4), "second": happening(seconds=4)}
    runs = [machine.engine.create_run(two, {"x": str(n)}) for n in range(2)]
    disk = Disk(machine.store, runs[0], error)
    begin = machine.clock.time

    def fill(full: bool) -> Callable[[], None]:
        return lambda: setattr(disk, "full", full)

    machine.clock.alarms = {begin + moment: fill(True), begin + moment + 30: fill(False)}
    disk.full = moment == 0
    server = Server(machine)
    with caplog.at_level(logging.WARNING):
        server.run_until_done()
    assert server.states(*runs) == ["SUCCEEDED", "SUCCEEDED"]
    assert machine.store.run(runs[1]).ended < begin + 15  # it was not held up
    assert begin + moment + 30 <= machine.store.run(runs[0]).ended < begin + moment + 30 + PAUSE_S + 12
    assert disk.refused and f"run {runs[0]}: {error}; taken up again in 5 s" in caplog.text
    assert sorted(machine.launcher.started) == ["first", "first", "second", "second"]
    assert [len(machine.store.attempts(run_id, key)) for run_id in runs for key in ("first", "second")] == [1] * 4


def test_room_taken_for_a_start_that_failed_is_given_back(machine: Any, one: str, happening: Any) -> None:
    machine.new_engine(cpu_slots=1.0)
    runs = [machine.engine.create_run(one, {"x": str(n)}) for n in range(2)]
    disk = Disk(machine.store, runs[0], sqlite3.OperationalError("database or disk is full"))
    whole = machine.store.begin_attempt
    machine.store.begin_attempt = lambda attempt, **more: (
        setattr(disk, "full", attempt.run_id == runs[0]),
        whole(attempt, **more),
    )
    machine.clock.alarms = {machine.clock.time + 60: lambda: setattr(machine.store, "begin_attempt", whole)}
    machine.clock.alarms[machine.clock.time + 61] = lambda: setattr(disk, "full", False)
    Server(machine).run_for(30)
    assert machine.store.run(runs[1]).state is RunState.SUCCEEDED
    assert [r.code for r in machine.launcher.running.values()].count(-9) >= 1  # prepared, never released, ended


def test_a_pipeline_that_cannot_be_read_fails_its_run_only(machine: Any, server: Server, one: str) -> None:
    runs = [machine.engine.create_run(one, {"x": str(n)}) for n in range(3)]
    broken = one.replace("comp-work", "comp-lost", 1)
    with machine.store.database.writing():
        machine.store.database.insert("pipelines", {"digest": "broken", "text": broken})
        machine.store.database.insert("pipelines", {"digest": "garbage", "text": "{]"})
        machine.store.database.update("runs", {"pipeline_digest": "broken"}, {"run_id": runs[0]})
        machine.store.database.update("runs", {"pipeline_digest": "garbage"}, {"run_id": runs[1]})
    server.run_until_done()
    assert server.states(*runs) == ["FAILED", "FAILED", "SUCCEEDED"]
    assert "comp-work" in machine.store.run(runs[0]).reason or "comp-lost" in machine.store.run(runs[0]).reason
    assert "neither YAML nor JSON" in machine.store.run(runs[1]).reason


@pytest.mark.parametrize("error", [PipelineError("it makes no sense"), KeyError("lost"), RecursionError("too deep")])
def test_an_error_in_executing_a_run_fails_it_ends_its_tasks_and_stops_nobody_else(
    machine: Any, server: Server, two: str, happening: Any, error: Exception
) -> None:
    machine.launcher.does = {"first": happening(seconds=5), "second": happening(seconds=50)}
    runs = [machine.engine.create_run(two, {"x": str(n)}) for n in range(2)]

    def break_down() -> None:
        board = server.dispatcher._live[runs[0]]._board

        def look() -> None:
            raise error

        board.look, board.changed = look, True

    machine.clock.alarms[machine.clock.time + 20] = break_down
    server.run_until_done()
    assert server.states(*runs) == ["FAILED", "SUCCEEDED"]
    assert str(error) in machine.store.run(runs[0]).reason
    assert machine.states(runs[0]) == {"first": "SUCCEEDED", "second": "FAILED"}
    assert not machine.store.open_attempts(runs[0])
    server.pages.retry(runs[0])
    server.run_until_done()
    assert server.states(runs[0]) == ["SUCCEEDED"]
    assert machine.launcher.started.count("first") == 2  # one for each run


def test_runs_that_only_wait_for_their_next_attempt_keep_nobody_from_starting(
    machine: Any, step: Any, ir_of: Any, happening: Any
) -> None:
    flaky, good = step("flaky", {"x": str}), step("good", {})

    def waits(x: str = ""):  # type: ignore[no-untyped-def]
        flaky(x=x).set_retry(1, backoff_duration="2000s")

    def goes() -> None:
        good()

    machine.launcher.does = {"flaky": happening(code=1)}
    waiting = [machine.engine.create_run(ir_of(waits), {"x": str(n)}) for n in range(4)]
    free = machine.engine.create_run(ir_of(goes), {})
    begin = machine.clock.time
    server = Server(machine, at_once=2)
    server.run_until_done()
    assert machine.store.run(free).ended - begin < 30
    assert server.states(*waiting) == ["FAILED"] * 4


def test_two_hundred_queued_runs_finish(machine: Any, server: Server, two: str) -> None:
    runs = [machine.engine.create_run(two, {"x": str(n)}) for n in range(200)]
    server.run_until_done()
    assert server.states(*runs) == ["SUCCEEDED"] * 200
    assert server.most_live <= 4
    assert len(machine.launcher.started) == 400


def test_a_second_dispatcher_on_the_same_folder_refuses_and_names_the_first(tmp_path: Path) -> None:
    code = (
        "import sys, threading; from pipeline.engine.dispatch import Dispatcher\n"
        "from pipeline.engine.launch import ProcessLauncher; from pipeline.engine.runner import Engine\n"
        "from pipeline.engine.store import Store\n"
        "store = Store.open(sys.argv[1]); stopped = threading.Event()\n"
        "def sleep(seconds):\n"
        "    print('working', flush=True); stopped.wait(60)\n"
        "Dispatcher(Engine(store, ProcessLauncher()), store, sleep).run(stopped)\n"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout and first.stdout.readline() == "working\n"
        store = Store.open(tmp_path)
        second = Dispatcher(Engine(store, ProcessLauncher(), budget=Budget(1, 1)), store, lambda _: None)
        with pytest.raises(StateError, match=f"in process {first.pid}; "):
            second.run(threading.Event())
    finally:
        first.kill()
        first.wait()
    stopped = threading.Event()
    Dispatcher(Engine(store, ProcessLauncher()), store, lambda _: stopped.set()).run(stopped)  # the lock is free again


def test_nobody_ends_what_still_runs_when_the_dispatcher_ends(
    machine: Any, server: Server, one: str, happening: Any
) -> None:
    machine.launcher.does = {"work": happening(seconds=100)}
    run_id = machine.engine.create_run(one, {})
    server.run_for(10)
    assert server.states(run_id) == ["RUNNING"] and machine.store.run(run_id).state not in RUN_ENDED
    assert [r.code for r in machine.launcher.running.values()] == [None]
    Server(machine).run_until_done()
    assert server.states(run_id) == ["SUCCEEDED"]
    assert machine.launcher.started == ["work"]

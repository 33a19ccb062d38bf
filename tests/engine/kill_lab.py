"""The laboratory of the kill matrix: lives of an engine that end by SIGKILL, and an inquest over what they leave.

`Lab.trial` lets a dispatcher die at one point, or a task at one of its own, starts others until the run has ended, and
tells everything that is wrong with what is left.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kfp import compiler

from pipeline.engine import process
from pipeline.engine.launch import _SUPERVISE
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from tests.engine.kill_inquest import Remains, differences, remains_of, wrong_attempts, wrong_files, wrong_moves
from tests.engine.kill_pipeline import killed

DRIVER = Path(__file__).with_name("kill_driver.py")
ROOT = Path(__file__).parents[2]
MARK = "SEAMLINE_KILL_TRIAL"
LIFE_S, ORPHAN_S, MOST_LIVES = 90, 10, 200


@dataclass(frozen=True)
class Kill:
    """What dies where.

    Attributes:
        engines: the points at which the first, second, ... engine dies, empty for one that lives; the last one lives.
        task: the point of a task, `KEY: POINT`, at which `whom` dies, empty: nobody.
        whom: `command`, `supervisor`, `session` (both) or `machine` (both and the engine).
        held: keys of tasks that run until a second engine watches them.
        stop: the line of the journal after which somebody asks to stop the run; it is retried after that.
        fewer: the run may end before all of the engines have died.
    """

    engines: tuple[str, ...] = ()
    task: str = ""
    whom: str = "command"
    held: tuple[str, ...] = ()
    stop: str = ""
    fewer: bool = False

    @property
    def stopped(self) -> tuple[str, ...]:
        """Tasks that the request to stop ends."""
        return self.held if self.stop else ()


@dataclass(frozen=True)
class Trial:
    """One run through its lives.

    Attributes:
        deaths: engines that ended by SIGKILL.
        task_died: whether a task was killed.
        remains: what is left.
        wrong: in words, everything that must not be.
        attempts: how the attempts of each task ended.
        repeated: tasks whose command ran more often than in a run that nobody disturbs.
        adopted: tasks whose first attempt was begun by one engine and ended by another while it ran.
    """

    deaths: int
    task_died: bool
    remains: Remains
    wrong: tuple[str, ...]
    attempts: Mapping[str, list[str]]
    repeated: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()


class Lab:
    """Runs the pipeline again and again.

    Args:
        folder: empty; each trial gets a folder in it, which is removed when nothing is wrong.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ir = folder / "killed.yaml"
        compiler.Compiler().compile(killed, str(self._ir))
        bench, trial = self._observe(Kill())
        self.undisturbed = trial.remains
        (self.points,) = bench.points()
        self.task_points = list(dict.fromkeys((bench.folder / "task_points").read_text().splitlines()))

    def points_of(self, kill: Kill) -> list[list[str]]:
        """The points that each engine passes when nobody dies."""
        return self._observe(kill)[0].points()

    def _observe(self, kill: Kill) -> tuple["Bench", Trial]:
        bench = Bench(self._folder / f"peace-{uuid.uuid4().hex}", self._ir, record=True)
        trial = bench.live_through(kill, None)
        if trial.wrong:
            raise AssertionError(f"a run that nobody disturbs is wrong: {trial.wrong}")
        return bench, trial

    def trial(self, kill: Kill) -> Trial:
        """Disturbs one run."""
        bench = Bench(self._folder / uuid.uuid4().hex, self._ir)
        trial = bench.live_through(kill, self.undisturbed)
        if not trial.wrong:
            shutil.rmtree(bench.folder)
        return trial


class Bench:
    """The folder, the environment and the processes of one trial."""

    def __init__(self, folder: Path, ir: Path, record: bool = False) -> None:
        folder.mkdir()
        self._record = record
        self.folder = folder
        self.state = folder / "state"
        self._name = uuid.uuid4().hex
        inherited = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
        self.environment = inherited | {
            MARK: self._name,
            "PYTHONPATH": str(ROOT),
            "STATE": str(self.state),
            "IR": str(ir),
            "SUPERVISE": str(_SUPERVISE),
            "SIDE_EFFECTS": str(folder / "side_effects"),
            "KILL_MARK": str(folder / "task_died"),
            "STOP_MARK": str(folder / "stopped"),
            "HOLD_UNTIL": str(folder / "alive-2"),
        }

    def live_through(self, kill: Kill, undisturbed: Remains | None) -> Trial:
        """One engine after another, until the run has ended, and the inquest."""
        self.environment |= {
            "KILL_TASK": kill.task,
            "KILL_WHOM": kill.whom,
            "HOLD_TASKS": ",".join(kill.held),
            "STOP_AT": kill.stop,
        }
        codes: list[int] = []
        for life in range(1, MOST_LIVES):
            points = kill.engines[life - 1 : life]
            codes.append(self._live(life, points[0] if points else ""))
            if codes[-1] == 0 and self._state() is RunState.SUCCEEDED:
                break
        left = self._end_processes()
        return self._inquest(kill, codes, left, undisturbed)

    def points(self) -> list[list[str]]:
        """What each engine passed."""
        paths = [self.folder / f"points-{life}" for life in range(1, MOST_LIVES)]
        return [path.read_text().splitlines() for path in paths if path.exists()]

    def _live(self, life: int, point: str) -> int:
        environment = self.environment | {"KILL_AT": point, "ALIVE": str(self.folder / f"alive-{min(life, 2)}")}
        if self._record:
            environment["POINTS"] = str(self.folder / f"points-{life}")
            environment["TASK_POINTS"] = str(self.folder / "task_points")
        with (self.folder / f"said-{life}").open("wb") as said:
            command = [sys.executable, str(DRIVER)]
            return subprocess.run(command, env=environment, stdout=said, stderr=said, timeout=LIFE_S).returncode

    def _state(self) -> RunState:
        with contextlib.closing(Store.open(self.state, read_only=True)) as store:
            return store.run("latest").state

    def _end_processes(self) -> list[str]:
        """Waits until no process of the trial is left; ends those that stay, and names them."""
        patience = time.monotonic() + ORPHAN_S
        while (left := list(processes_of(self._name))) and time.monotonic() < patience:
            time.sleep(0.02)
        for pid, _ in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return [command for _, command in left]

    def _inquest(self, kill: Kill, codes: list[int], left: list[str], undisturbed: Remains | None) -> Trial:
        deaths = codes.count(-signal.SIGKILL)
        task_died = (self.folder / "task_died").exists()
        wrong = [f"process left alive: {command}" for command in left]
        if codes[-1] != 0:
            said = (self.folder / f"said-{len(codes)}").read_text()
            wrong.append(f"life {len(codes)} ended with {codes[-1]}: {said[-2000:]}")
        enough = deaths == sum(map(bool, kill.engines)) + (kill.whom == "machine") or kill.fewer
        if not enough or task_died != bool(kill.task):
            wrong.append(f"only {deaths} of {len(kill.engines)} engines died, a task died: {task_died}")
        with contextlib.closing(Store.open(self.state)) as store:
            run_id = store.run("latest").run_id
            remains = remains_of(store, run_id, self.folder / "side_effects")
            wrong += wrong_attempts(store, run_id, self.folder / "side_effects")
            wrong += [*wrong_moves(store, run_id), *wrong_files(store)]
            attempts = {key: [str(a.state) for a in store.attempts(run_id, key)] for key in remains.executed}
            adopted = adopted_tasks(store, run_id)
        repeated: tuple[str, ...] = ()
        if undisturbed:
            repeated = tuple(k for k, n in remains.executed.items() if n != undisturbed.executed.get(k))
            wrong += differences(remains, undisturbed, (*kill.stopped, kill.task.partition(":")[0]))
        return Trial(deaths, task_died, remains, tuple(wrong), attempts, repeated, adopted)


def adopted_tasks(store: Store, run_id: str) -> tuple[str, ...]:
    """Tasks with an attempt that was begun under one engine and ended by itself under another."""
    took_up = [e.time for e in store.events(run_id) if e.kind == "run" and e.detail["state"] == "RUNNING"][-1]
    attempts = [a for t in store.tasks(run_id) for a in store.attempts(run_id, t.key) if a.started < took_up]
    notes = [(a, Path(a.directory) / "exit.json") for a in attempts]
    return tuple(a.key for a, note in notes if note.exists() and json.loads(note.read_text())["ended"] > took_up)


def processes_of(name: str) -> Iterator[tuple[int, str]]:
    """Living processes that inherited the mark of a trial."""
    wanted = f"{MARK}={name}".encode()
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if process.identity(int(folder.name)):
                    yield int(folder.name), command[:200]

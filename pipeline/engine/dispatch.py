"""Executes all runs of a state folder, several at once, in one thread: what a server does all day.

Runs are taken up in the order in which they were made: new ones, and those that an engine left unfinished when it
died. Whatever goes wrong with one run stops nobody else. When the machine is to blame (a full disk, a database that
somebody holds), the run is let go, its tasks go on, and after a pause it is taken up again from what the store says.
When the run itself cannot be executed, it fails.
"""

import contextlib
import functools
import logging
import sqlite3
import threading
from collections.abc import Callable

from pipeline.engine.execution import Execution
from pipeline.engine.runner import Engine
from pipeline.engine.states import RUN_ENDED, RunState
from pipeline.engine.store import Store
from pipeline.errors import Conflict, NotFound, PipelineError

LOG = logging.getLogger("seamline.engine")
RUNS_AT_ONCE = 4
PAUSE_S = 5.0


class Dispatcher:
    """Takes turns among runs.

    Args:
        engine: executes them.
        store: the engine's.
        sleep: waits that many seconds between two looks when nothing happens.
        at_once: how many runs are taken up at a time; room on the machine is shared among all their tasks. A run that
            only waits for its next attempt does not count.
    """

    def __init__(
        self, engine: Engine, store: Store, sleep: Callable[[float], object], at_once: int = RUNS_AT_ONCE
    ) -> None:
        self._engine = engine
        self._store = store
        self._sleep = sleep
        self._at_once = at_once
        self._live: dict[str, Execution] = {}
        self._paused: dict[str, float] = {}

    def run(self, stopped: threading.Event) -> None:
        """Executes runs until `stopped`; tasks that run then go on, and are taken up by whoever comes next.

        Raises:
            StateError: another process executes runs of this state folder.
        """
        with self._store.exclusive():
            self.loop(stopped)

    def loop(self, stopped: threading.Event) -> None:
        """As `run`, for a caller that has the lock."""
        try:
            while not stopped.is_set():
                if not self.turn():
                    self._sleep(self._engine.pace.poll_s)
        finally:
            for run_id in list(self._live):
                self._let_go(run_id)

    def turn(self) -> bool:
        """Looks once at every run; False when nothing is left to do right now. The caller has the lock."""
        try:
            self._take_up()
        except sqlite3.Error as error:
            LOG.warning("the state cannot be read: %s; trying again", error)
        busy = [self._one_turn(run_id, execution) for run_id, execution in list(self._live.items())]
        return any(busy)

    def _take_up(self) -> None:
        for run_id, asked_to_stop in self._store.waiting_runs():
            if run_id in self._live or self._paused.get(run_id, 0.0) > self._engine.monotonic():
                continue
            if asked_to_stop or self._has_place():  # a stop needs no place: it only ends things
                self._guarded(run_id, functools.partial(self._begin, run_id))

    def _has_place(self) -> bool:
        return sum(not execution.is_dormant for execution in self._live.values()) < self._at_once

    def _begin(self, run_id: str) -> None:
        self._paused.pop(run_id, None)
        self._live[run_id] = self._engine.begin(self._store.run(run_id))

    def _one_turn(self, run_id: str, execution: Execution) -> bool:
        """Whether the run has more to do at once."""
        outcome = self._guarded(run_id, execution.turn)
        if outcome in RUN_ENDED:
            self._let_go(run_id)
        return run_id not in self._live or not execution.idle

    def _guarded(self, run_id: str, act: Callable[[], RunState | None]) -> RunState | None:
        """Does something with one run, so that its errors stay its own."""
        try:
            return act()
        except (OSError, sqlite3.Error, MemoryError, Conflict, NotFound) as error:
            # The machine is to blame, or somebody else moved the run since we looked: look again later.
            LOG.warning("run %s: %s; taken up again in %g s", run_id, error or type(error).__name__, PAUSE_S)
            self._paused[run_id] = self._engine.monotonic() + PAUSE_S
            self._let_go(run_id)
        except PipelineError as error:
            self._give_up(run_id, str(error))
        except Exception as error:
            LOG.exception("run %s: an error of the engine", run_id)
            self._give_up(run_id, f"an error of the engine, please report it: {type(error).__name__}: {error}")
        return None

    def _give_up(self, run_id: str, reason: str) -> None:
        """Fails a run that cannot be executed. What cannot be written now is tried again after the pause."""
        self._paused[run_id] = self._engine.monotonic() + PAUSE_S
        try:
            if run_id in self._live:
                self._live[run_id].give_up(reason)
            else:
                self._fail_unbegun(run_id, reason)
        except (OSError, sqlite3.Error, PipelineError) as error:
            LOG.warning("run %s has to fail (%s), but: %s", run_id, reason, error)
        finally:
            self._let_go(run_id)

    def _fail_unbegun(self, run_id: str, reason: str) -> None:
        now = self._engine.now()
        with contextlib.suppress(Conflict):  # it is RUNNING already, or being stopped: it may fail from there
            self._store.move_run(run_id, RunState.RUNNING, now)
        self._store.move_run(run_id, RunState.FAILED, now, reason)

    def _let_go(self, run_id: str) -> None:
        execution = self._live.pop(run_id, None)
        if execution:
            execution.let_go()

"""Executes all runs of a state folder, several at once, in one thread: what a server does all day.

Runs are taken up in the order in which they were made: new ones, and those that an engine left unfinished when it
died. Whatever goes wrong with the look at one run (a full disk, say) stops nobody else: the run is let go, its tasks
go on, and after a pause it is taken up again from what the store says.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable

from pipeline.engine.execution import Execution
from pipeline.engine.records import Run
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.errors import Conflict, PipelineError

LOG = logging.getLogger("seamline.engine")
RUNS_AT_ONCE = 4
PAUSE_S = 5.0


class Dispatcher:
    """Takes turns among runs.

    Args:
        engine: executes them.
        store: the engine's.
        sleep: waits that many seconds between two looks when nothing happens.
        at_once: how many runs are taken up at a time; room on the machine is shared among all their tasks.
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
        for run in self._store.unfinished():
            if len(self._live) >= self._at_once and not run.stop_requested:
                return
            if run.run_id not in self._live and self._paused.get(run.run_id, 0.0) <= self._engine.now():
                self._begin(run)

    def _begin(self, run: Run) -> None:
        try:
            self._live[run.run_id] = self._engine.begin(run)
        except Conflict as error:  # it ended, or somebody retried it, since we looked
            LOG.info("run %s: %s", run.run_id, error)
        except PipelineError as error:
            self._store.move_run(run.run_id, RunState.RUNNING, self._engine.now())
            self._store.move_run(run.run_id, RunState.FAILED, self._engine.now(), str(error))
        except (OSError, sqlite3.Error) as error:
            self._pause(run.run_id, error)

    def _one_turn(self, run_id: str, execution: Execution) -> bool:
        """Whether the run has more to do at once."""
        try:
            if execution.turn() is None:
                return not execution.idle
        except (OSError, sqlite3.Error, PipelineError) as error:
            self._pause(run_id, error)
        self._let_go(run_id)
        return True

    def _pause(self, run_id: str, error: Exception) -> None:
        LOG.warning("run %s: %s; taken up again in %g s", run_id, error, PAUSE_S)
        self._paused[run_id] = self._engine.now() + PAUSE_S

    def _let_go(self, run_id: str) -> None:
        self._live.pop(run_id).let_go()

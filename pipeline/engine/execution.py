"""The loop of one run: plan, launch, record. One thread; everything it knows is in the store before it acts on it."""

import sqlite3
from dataclasses import replace

from pipeline.engine import spending, trouble
from pipeline.engine.board import Board
from pipeline.engine.records import Run
from pipeline.engine.starting import Starter
from pipeline.engine.states import TASK_ENDED, RunState, TaskState
from pipeline.engine.tools import Tools
from pipeline.engine.tree import Tree
from pipeline.engine.watching import Watcher

_MAX_NAMED = 5
SPENDING_S = 5.0
"""Seconds between two looks at what a run with a budget has spent."""
_OUTCOME = {
    TaskState.SUCCEEDED: RunState.SUCCEEDED,
    TaskState.SKIPPED: RunState.SUCCEEDED,
    TaskState.FAILED: RunState.FAILED,
    TaskState.CANCELED: RunState.CANCELED,
}


class Execution:
    """Executes one run. The caller holds the state folder's lock.

    Attributes:
        idle: the last turn found nothing to do, so that the next one may wait.
    """

    def __init__(self, tools: Tools, run: Run) -> None:
        self._tools = tools
        self._run_id = run.run_id
        self._board = Board(tools, run)
        self._starter = Starter(tools, self._board)
        self._watcher = Watcher(tools, self._board)
        self._stops = int(run.state is RunState.CANCELING)
        self._kill_at = 0.0
        self._overspent = ""
        self._counted_at = float("-inf")
        self._released = -1
        self.idle = False

    @property
    def stops(self) -> int:
        """How often it was asked to stop; another execution of the run has to be asked as often."""
        return self._stops

    @property
    def is_dormant(self) -> bool:
        """Only waits for a time to pass, so that other runs may be taken up meanwhile."""
        return self.idle and not self._board.live and bool(self._board.retry_at)

    def stop(self) -> None:
        """Ends the run: tasks are asked to end, after the grace time ended; a second call ends them at once.

        Only sets a number, so that a signal handler may call it.
        """
        self._stops += 1

    def run(self) -> RunState:
        """Takes turns until everything has ended, and returns the run's final state."""
        try:
            while True:
                try:
                    outcome = self.turn()
                    if outcome is not None:
                        return outcome
                    if self.idle:
                        self._tools.clock.sleep(self._tools.pace.poll_s)
                except KeyboardInterrupt:
                    self.stop()
        except sqlite3.OperationalError as error:
            if not trouble.is_busy(error):
                self._abandon()
            raise
        except BaseException:
            self._abandon()
            raise
        finally:
            self.let_go()

    def turn(self) -> RunState | None:
        """Looks once at everything and does what can be done now; the final state once the run has ended."""
        board = self._board
        self._heed_budget()
        self._watcher.look(stopping=self._stops > 0)
        self._heed_stop()
        if self._stops:
            self.idle = bool(board.live)
            return None if board.live else self._canceled()
        has_room = self._starter.waits and self._released != self._tools.ledger.released
        self.idle = not (board.retry_is_due() or board.changed or has_room)
        if self.idle:
            return None
        self._released = self._tools.ledger.released
        board.changed = False
        tree = board.look()
        try:
            self._starter.start_ready(tree)
        except BaseException:
            board.changed = True  # not all of it was started
            raise
        if tree.state in TASK_ENDED and not board.live and not board.changed:
            return self._ended(tree)
        return None

    def let_go(self) -> None:
        """Stops watching; the run's tasks go on. Another execution of the run takes them up."""
        self._tools.ledger.wait(self._run_id, {})
        for key in self._board.live:
            self._tools.ledger.give_back((self._run_id, key))

    def give_up(self, reason: str) -> None:
        """Ends the run as FAILED, for a reason that no other look at it will change; its tasks are ended."""
        self._signal_all(kill=True)
        for attempt in list(self._board.live.values()):
            self._board.end(replace(attempt, reason=reason), TaskState.FAILED)
        self._tools.store.move_run(self._run_id, RunState.FAILED, self._board.now(), reason)

    def _heed_budget(self) -> None:
        """Stops the run when it has spent its GPU hours: tasks are asked to end, so that they keep what they have."""
        now = self._board.monotonic()
        if self._stops or not spending.limit(self._board.run.parameters) or now - self._counted_at < SPENDING_S:
            return
        self._counted_at = now
        self._overspent = spending.overspent(self._tools.store, self._board.run, self._board.now())
        self._stops = int(bool(self._overspent))

    def _heed_stop(self) -> None:
        if not self._stops and self._tools.store.stop_requested(self._run_id):
            self._stops = 1
        if not self._stops:
            return
        now = self._board.monotonic()
        if not self._kill_at:
            self._tools.ledger.wait(self._run_id, {})
            self._tools.store.move_run(
                self._run_id, RunState.CANCELING, self._board.now(), self._overspent or "asked to stop"
            )
            self._kill_at = now + self._tools.pace.grace_s
            self._signal_all(kill=self._stops > 1)
        elif self._stops > 1 or now >= self._kill_at:
            self._signal_all(kill=True)

    def _signal_all(self, kill: bool) -> None:
        for attempt in self._board.live.values():
            self._tools.launcher.signal(attempt.handle, kill)

    def _canceled(self) -> RunState:
        for node in self._board.look().leaves:
            if node.state not in TASK_ENDED:
                self._board.settle(node.key, TaskState.CANCELED, "the run was stopped")
        complete = self._board.look().state is TaskState.SUCCEEDED
        outcome = RunState.SUCCEEDED if complete else RunState.CANCELED
        reason = "" if complete else self._why_canceled()
        self._tools.store.move_run(self._run_id, outcome, self._board.now(), reason)
        return outcome

    def _why_canceled(self) -> str:
        if self._overspent:
            return f"stopped: {self._overspent}; `seamline retry RUN --gpu-hours N` goes on with more"
        return "stopped; `seamline retry` goes on from here"

    def _ended(self, tree: Tree) -> RunState:
        outcome = _OUTCOME[tree.state]
        failed = [n.label for n in tree.nodes if n.state is TaskState.FAILED and n.is_leaf]
        named = ", ".join(failed[:_MAX_NAMED]) + (" ..." if len(failed) > _MAX_NAMED else "")
        reason = f"failed: {named}" if outcome is RunState.FAILED else ""
        self._tools.store.move_run(self._run_id, outcome, self._board.now(), reason)
        return outcome

    def _abandon(self) -> None:
        """An error got us out of the loop: leaves no process behind. Their attempts stay open for a retry to repeat."""
        self._signal_all(kill=True)

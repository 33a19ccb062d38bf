"""Follows running tasks: reads what they say, enforces limits of time, and decides what the end of an attempt means."""

from dataclasses import replace
from pathlib import Path

from pipeline.engine import exchange, logtail, retries, trouble
from pipeline.engine.board import Board
from pipeline.engine.budget import memory_limit_of
from pipeline.engine.failures import MENDABLE_EXIT, Evidence, Failure, classify
from pipeline.engine.launch import Exit, held_since, waits
from pipeline.engine.overdue import Deadlines
from pipeline.engine.records import Attempt, Event, Metric
from pipeline.engine.states import TaskState
from pipeline.engine.tools import Tools
from pipeline.errors import PipelineError

__all__ = ["MENDABLE_EXIT", "Watcher"]
WAITS = "waits: "


class Watcher:
    """Watches the open attempts of a run."""

    def __init__(self, tools: Tools, board: Board) -> None:
        self._tools = tools
        self._board = board
        self._deadlines = Deadlines(tools, board)
        self._told: dict[str, str] = {}

    def look(self, stopping: bool) -> None:
        """Reads logs and takes note of what has ended.

        Args:
            stopping: the run is being stopped, so what ends in failure is CANCELED and not repeated.
        """
        for attempt in list(self._board.live.values()):
            ended = self._tools.launcher.poll(attempt.handle)
            attempt = self._read_log(self._held(attempt, ended), to_the_end=ended is not None)
            if ended is None:
                if not self._waits(attempt):
                    self._deadlines.check(attempt)
            else:
                self._end(replace(attempt, exit_code=ended.code, usage=ended.usage), ended, stopping)

    def _held(self, attempt: Attempt, ended: Exit | None) -> Attempt:
        """With the moment from which it has held what it asked for. An end may be all that is ever seen of it."""
        if attempt.began:
            return attempt
        measured = float(ended.usage.get("wall_s", 0.0)) if ended else 0.0
        since = self._board.now() - measured if ended else held_since(self._tools.launcher, attempt.handle)
        return attempt if since is None else self._board.hold(attempt, since)

    def _read_log(self, attempt: Attempt, to_the_end: bool) -> Attempt:
        """Takes down what is new, a bounded piece of it while the task runs, so that no task holds up the others."""
        while True:
            said = logtail.read_from(Path(attempt.directory) / "log", attempt.log_offset, logtail.PIECE_BYTES)
            if said.offset == attempt.log_offset:
                return attempt
            attempt = self._take_down(attempt, said)
            if not to_the_end:
                return attempt

    def _waits(self, attempt: Attempt) -> bool:
        """Whether its place has not begun it yet; what it waits for is told as the task's note."""
        why = waits(self._tools.launcher, attempt.handle)
        note = f"{WAITS}{why}" if why else ""
        if attempt.handle not in self._told:  # once: this is asked ten times a second
            self._told[attempt.handle] = self._note(attempt)
        if self._told[attempt.handle] != note:
            self._tools.store.note(attempt.run_id, attempt.key, note, self._board.now())
            self._told[attempt.handle] = note
        return bool(why) or not attempt.began

    def _note(self, attempt: Attempt) -> str:
        """What an engine before has told of its waiting, so that it is taken back."""
        task = self._tools.store.task_at(attempt.run_id, attempt.key)
        return task.note if task and task.note.startswith(WAITS) else ""

    def _take_down(self, attempt: Attempt, said: logtail.Said) -> Attempt:
        now, where = self._board.now(), (attempt.run_id, attempt.key)
        points = [Metric(*where, attempt.number, now, p["step"], _without_step(p)) for p in said.metrics]
        self._tools.store.advance_log(attempt, said.offset, said.progress, points)
        if said.progress:
            self._tools.store.announce(Event(0, now, *where, "progress", said.progress))
        for point in points:
            self._tools.store.announce(Event(0, now, *where, "metric", {"step": point.step, **point.values}))
        self._board.live[attempt.key] = replace(attempt, log_offset=said.offset)
        return self._board.live[attempt.key]

    def _end(self, attempt: Attempt, ended: Exit, stopping: bool) -> None:
        overdue = self._deadlines.ended_by(attempt)
        if overdue:
            self._failed(attempt, self._failure(attempt, overdue=overdue), stopping)
        elif ended.code == 0:
            self._commit(attempt, stopping)
        elif stopping:
            self._board.end(replace(attempt, reason="the run was stopped"), TaskState.CANCELED)
        else:
            self._failed(attempt, ended.failure or self._failure(attempt), stopping)

    def _commit(self, attempt: Attempt, stopping: bool) -> None:
        """Finished work is kept even while the run is being stopped, and when the disk is full just now."""
        _, component = self._board.task_of(attempt.key)
        folder = exchange.Folder(Path(attempt.directory))
        try:
            outputs = exchange.collect(component, folder, self._tools.store.directory / "artifacts")
        except (PipelineError, OSError) as error:
            if isinstance(error, OSError) and trouble.is_of_machine(error):
                raise  # the attempt stays open, and is collected later
            self._failed(attempt, self._failure(attempt, problem=str(error)), stopping)
            return
        self._board.end(attempt, TaskState.SUCCEEDED, outputs)

    def _failure(self, attempt: Attempt, overdue: str = "", problem: str = "") -> Failure:
        task = self._tools.store.task_at(attempt.run_id, attempt.key)
        resources = self._board.container_of(attempt.key).resources
        evidence = Evidence(
            code=attempt.exit_code,
            lines=logtail.last_lines(Path(attempt.directory) / "log"),
            usage=attempt.usage,
            memory_bytes=memory_limit_of(resources, task.inputs.parameters if task else {}),
            machine_bytes=self._tools.ledger.budget.memory_bytes,
            overdue=overdue,
            problem=problem,
            lost=attempt.exit_code is None and attempt.key in self._board.adopted,
        )
        return classify(evidence)

    def _failed(self, attempt: Attempt, failure: Failure, stopping: bool) -> None:
        """Repeats a failed attempt as far as the budget of its class goes, else fails the task."""
        key, reason = attempt.key, failure.cause
        lost = attempt.exit_code is None and key in self._board.adopted
        policy = retries.policy_for(failure, self._circumstances(key))
        number = retries.count(self._board.failures.get(key, ()), failure.kind) + 1
        attempt = replace(attempt, failure=failure)
        if number > policy.limit or stopping:
            self._board.end(replace(attempt, reason=reason), TaskState.FAILED)
        elif lost:  # with the engine: whatever it was has passed
            self._board.repeat(replace(attempt, state=TaskState.PENDING, reason=reason))
        else:
            wait = retries.wait_s(policy, number)
            reason += f"; retry {number} of {policy.limit} in {wait:g} s"
            self._board.repeat(replace(attempt, state=TaskState.FAILED, reason=reason), wait)

    def _circumstances(self, key: str) -> retries.Circumstances:
        holder, ledger = (self._board.run.run_id, key), self._tools.ledger
        policy = self._board.task_of(key)[0].retry
        return retries.Circumstances(policy, ledger.is_on_gpu(holder), ledger.had_company(holder))


def _without_step(point: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in point.items() if name != "step"}

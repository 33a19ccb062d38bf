"""Follows running tasks: reads what they say, enforces timeouts, and decides what the end of an attempt means."""

from dataclasses import replace
from pathlib import Path

from pipeline.engine import exchange
from pipeline.engine.board import Board
from pipeline.engine.launch import Exit
from pipeline.engine.logtail import read_from
from pipeline.engine.records import Attempt, Event, Metric
from pipeline.engine.states import TaskState
from pipeline.engine.tools import Tools
from pipeline.errors import PipelineError

MENDABLE_EXIT = 2
"""A step ends with 2 when its settings or data are wrong: repeating it cannot help."""


class Watcher:
    """Watches the open attempts of a run."""

    def __init__(self, tools: Tools, board: Board) -> None:
        self._tools = tools
        self._board = board
        self._failures: dict[str, int] = {}  # since this execution began; a retry of the run starts to count anew
        self._timed_out: set[str] = set()

    def look(self, stopping: bool) -> None:
        """Reads logs and takes note of what has ended.

        Args:
            stopping: the run is being stopped, so what ends in failure is CANCELED and not repeated.
        """
        for attempt in list(self._board.live.values()):
            ended = self._tools.launcher.poll(attempt.handle)
            attempt = self._read_log(attempt)
            if ended is None:
                self._check_time(attempt)
            else:
                self._end(replace(attempt, exit_code=ended.code, usage=ended.usage), ended, stopping)

    def _read_log(self, attempt: Attempt) -> Attempt:
        said = read_from(Path(attempt.directory) / "log", attempt.log_offset)
        if said.offset == attempt.log_offset:
            return attempt
        now, where = self._board.now(), (attempt.run_id, attempt.key)
        points = [Metric(*where, attempt.number, now, p["step"], _without_step(p)) for p in said.metrics]
        self._tools.store.advance_log(attempt, said.offset, said.progress, points)
        if said.progress:
            self._tools.store.announce(Event(0, now, *where, "progress", said.progress))
        for point in points:
            self._tools.store.announce(Event(0, now, *where, "metric", {"step": point.step, **point.values}))
        self._board.live[attempt.key] = replace(attempt, log_offset=said.offset)
        return self._board.live[attempt.key]

    def _check_time(self, attempt: Attempt) -> None:
        limit = self._board.container_of(attempt.key).timeout_s
        if limit and self._board.now() - attempt.started > limit and attempt.key not in self._timed_out:
            self._timed_out.add(attempt.key)
            self._tools.launcher.signal(attempt.handle, kill=True)

    def _end(self, attempt: Attempt, ended: Exit, stopping: bool) -> None:
        if attempt.key in self._timed_out:
            self._timed_out.discard(attempt.key)
            limit = self._board.container_of(attempt.key).timeout_s
            self._failed(attempt, f"timed out after {limit:g} s", stopping)
        elif ended.code == 0:
            self._commit(attempt, stopping)
        elif stopping:
            self._board.end(replace(attempt, reason="the run was stopped"), TaskState.CANCELED)
        elif ended.code is None and attempt.key in self._board.adopted:
            lost = "lost with the engine that started it"
            self._board.repeat(replace(attempt, state=TaskState.PENDING, reason=lost))
        else:
            self._failed(attempt, ended.reason, stopping)

    def _commit(self, attempt: Attempt, stopping: bool) -> None:
        """Finished work is kept even while the run is being stopped."""
        _, component = self._board.task_of(attempt.key)
        folder = exchange.Folder(Path(attempt.directory))
        try:
            outputs = exchange.collect(component, folder, self._tools.store.directory / "artifacts")
        except (PipelineError, OSError) as error:
            self._failed(attempt, str(error), stopping)
            return
        self._board.end(attempt, TaskState.SUCCEEDED, outputs)

    def _failed(self, attempt: Attempt, reason: str, stopping: bool) -> None:
        """Repeats a failed attempt as far as its policy goes, else fails the task."""
        retry = self._board.task_of(attempt.key)[0].retry
        failures = self._failures[attempt.key] = self._failures.get(attempt.key, 0) + 1
        if failures > retry.limit or attempt.exit_code == MENDABLE_EXIT or stopping:
            self._board.end(replace(attempt, reason=reason), TaskState.FAILED)
            return
        wait = min(retry.backoff_s * retry.factor ** (failures - 1), retry.backoff_max_s)
        reason = f"{reason}; retry {failures} of {retry.limit} in {wait:g} s"
        self._board.repeat(replace(attempt, state=TaskState.FAILED, reason=reason), self._board.now() + wait)


def _without_step(point: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in point.items() if name != "step"}

"""Limits of time: how long an attempt may run, and how long it may say nothing. Measured by the monotonic clock."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.board import Board
from pipeline.engine.launch import waits
from pipeline.engine.records import Attempt
from pipeline.engine.tools import Tools

SILENCE = "SEAMLINE_SILENCE_S"
"""Environment variable of a task: seconds without a line in its log after which it counts as hanging. KFP has none."""

_Sign = tuple[int, int]


@dataclass
class _Watch:
    """One attempt under watch. Times are monotonic."""

    begun: float
    said_at: float
    sign: _Sign = (0, 0)
    overdue: str = ""
    asked_at: float = 0.0


class Deadlines:
    """Ends attempts that take too long: asks them to end (SIGTERM), and ends them after the grace time."""

    def __init__(self, tools: Tools, board: Board) -> None:
        self._tools = tools
        self._board = board
        self._watched: dict[tuple[str, int], _Watch] = {}

    def check(self, attempt: Attempt) -> None:
        """Looks at an attempt that runs."""
        watch, now = self._watch(attempt), self._board.monotonic()
        if watch.overdue:
            if now - watch.asked_at >= self._tools.pace.grace_s:
                self._tools.launcher.signal(attempt.handle, kill=True)
            return
        watch.overdue = self._too_long(attempt, now - watch.begun) or self._too_silent(attempt, watch, now)
        if watch.overdue:
            watch.asked_at = now
            self._tools.launcher.signal(attempt.handle, kill=False)

    def ended_by(self, attempt: Attempt) -> str:
        """Which limit ended an attempt, in words; empty for none.

        An engine that died after it ended the attempt leaves no word of it, but the attempt has run for so long.
        """
        watch = self._watched.pop((attempt.key, attempt.number), None)
        if watch and watch.overdue:
            return watch.overdue
        killed = attempt.exit_code is not None and attempt.exit_code < 0
        return self._too_long(attempt, float(attempt.usage.get("wall_s", 0.0))) if killed else ""

    def _watch(self, attempt: Attempt) -> _Watch:
        name = (attempt.key, attempt.number)
        if name not in self._watched:
            now = self._board.monotonic()
            adopted = attempt.key in self._board.adopted  # of the time before, only the time of day is known
            begun = now - max(0.0, self._board.now() - attempt.began) if adopted else now
            self._watched[name] = _Watch(begun, now)
        return self._watched[name]

    def _too_long(self, attempt: Attempt, ran: float) -> str:
        if waits(self._tools.launcher, attempt.handle) is not None:  # its place keeps the limit
            return ""
        limit = self._board.container_of(attempt.key).timeout_s
        return f"timed out after {limit:g} s" if limit and ran >= limit else ""

    def _too_silent(self, attempt: Attempt, watch: _Watch, now: float) -> str:
        limit = _seconds(self._board.container_of(attempt.key).env.get(SILENCE, ""))
        if not limit:
            return ""
        sign = _sign_of_life(Path(attempt.directory) / "log")
        if sign != watch.sign:
            watch.sign, watch.said_at = sign, now
        return f"hangs: said nothing for {limit:g} s" if now - watch.said_at >= limit else ""


def _sign_of_life(log: Path) -> _Sign:
    """What changes when a task says something; only compared, so that a clock that is set does no harm."""
    try:
        status = log.stat()
    except FileNotFoundError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0

"""Logs of tasks in pieces that are whole text: half a character waits for its rest, bad bytes become U+FFFD."""

import codecs
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.reader import Reader
from pipeline.engine.states import TASK_ENDED
from pipeline.errors import NotFound

CHUNK_BYTES = 1 << 16
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Piece:
    """A piece of a log.

    Attributes:
        text: the piece.
        offset: where the next one begins, in bytes.
        size: of the log so far, in bytes.
        ended: the task has ended, so nothing will be added.
        state: of the task.
        attempt: whose log it is; 0 for one that is reused, and before the first attempt.
    """

    text: str
    offset: int
    size: int
    ended: bool
    state: str
    attempt: int

    @property
    def complete(self) -> bool:
        """Nothing is left to read, now or later."""
        return self.ended and self.offset >= self.size


def read(reader: Reader, run_id: str, key: str, attempt: int = 0, offset: int = 0, limit: int = CHUNK_BYTES) -> Piece:
    """Reads a piece of a task's log.

    Args:
        reader: the state folder.
        run_id: the run.
        key: the task, by key or label.
        attempt: its number; 0 is the last one.
        offset: first byte; a negative one counts from the end.
        limit: most bytes.

    Raises:
        NotFound: no such task or attempt, or its log is gone.
    """
    task = reader.task(run_id, key)  # before the log: what ends now has written everything that is read after
    ended = task.state in TASK_ENDED or attempt not in (0, task.attempts)
    number = attempt or task.attempts
    path = _path(reader, run_id, task.key, attempt)
    if path is None or not (ended or path.exists()):  # its command is about to be started
        return Piece("", 0, 0, ended, str(task.state), number)
    try:
        size = path.stat().st_size
        begin = max(0, size + offset) if offset < 0 else min(offset, size)
        with path.open("rb") as stream:
            stream.seek(begin)
            raw = stream.read(limit)
    except OSError as error:
        raise NotFound(f"the log of {task.label} is gone: {error.strerror}") from None
    text, used = _decoded(raw, final=ended and begin + len(raw) >= size, skip=offset < 0)
    return Piece(text, begin + used, size, ended, str(task.state), number)


def _path(reader: Reader, run_id: str, key: str, attempt: int) -> Path | None:
    """None while the task waits for its first attempt, and when it never had one."""
    try:
        return reader.log_path(run_id, key, attempt)
    except NotFound:
        if attempt:
            raise
        return None


def _decoded(raw: bytes, final: bool, skip: bool) -> tuple[str, int]:
    """Text, and the bytes it was made of; `skip`: a beginning in the middle of a character is left out."""
    start = next((i for i, byte in enumerate(raw[:4]) if byte & 0xC0 != 0x80), 0) if skip else 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(raw[start:], final)
    return text, len(raw) - len(decoder.getstate()[0])


def whole(path: Path) -> Iterator[bytes]:
    """All of a log that is there at the beginning, in pieces."""
    with path.open("rb") as stream:
        left = os.fstat(stream.fileno()).st_size
        while left > 0 and (piece := stream.read(min(CHUNK_BYTES, left))):
            left -= len(piece)
            yield piece

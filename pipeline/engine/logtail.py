"""Reads what running tasks say in their logs: `::progress {...}` and `::metric {...}`; other lines are just the log."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PROGRESS, _METRIC = b"::progress ", b"::metric "
_CHUNK_BYTES = 1 << 20
PIECE_BYTES = 4 << 20
"""How much of a log is taken down in one look."""
LAST_LINES = 40
_END_BYTES = 16 << 10
_LINE_CHARACTERS = 2000


@dataclass(frozen=True)
class Said:
    """What a piece of a log says.

    Attributes:
        offset: bytes read so far; always at the end of a line.
        progress: the latest progress, empty when there is none in this piece.
        metrics: the points, in order.
    """

    offset: int
    progress: dict[str, Any] = field(default_factory=dict)
    metrics: tuple[dict[str, float], ...] = ()


def read_from(path: Path, offset: int, at_most: int = 0) -> Said:
    """Reads whole lines of a log from an offset on; a line that is still being written waits for the next time.

    Args:
        path: the log.
        offset: where to begin.
        at_most: stop after about so many bytes; 0 reads to the end.
    """
    begin = offset
    if not path.exists() or path.stat().st_size <= offset:
        return Said(offset)
    progress: dict[str, Any] = {}
    metrics: list[dict[str, float]] = []
    with path.open("rb") as stream:
        stream.seek(offset)
        while chunk := stream.read(_CHUNK_BYTES):
            end = chunk.rfind(b"\n") + 1
            if end == 0 and len(chunk) < _CHUNK_BYTES:
                break
            end = end or len(chunk)  # one endless line: no message of ours
            for line in chunk[:end].split(b"\n"):
                progress = _body(line, _PROGRESS) or progress
                metrics += [point] if (point := _numbers(_body(line, _METRIC))) else []
            offset += end
            stream.seek(offset)
            if at_most and offset - begin >= at_most:
                break
    return Said(offset, progress, tuple(metrics))


def last_lines(path: Path, count: int = LAST_LINES) -> tuple[str, ...]:
    """The end of a log for people: at most so many lines, each cut to a readable length; what is no text is marked."""
    if not path.is_file():
        return ()
    with path.open("rb") as stream:
        begin = max(0, stream.seek(0, 2) - _END_BYTES)
        stream.seek(begin)
        lines = stream.read(_END_BYTES).decode("utf-8", "replace").splitlines()
    whole = lines[1:] if begin and len(lines) > 1 else lines  # the first one is only the end of a line
    return tuple(line[:_LINE_CHARACTERS] for line in whole[-count:])


def _body(line: bytes, mark: bytes) -> dict[str, Any]:
    if not line.startswith(mark):
        return {}
    try:
        body = json.loads(line.removeprefix(mark))
        json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair is JSON, but no text
    except (ValueError, RecursionError):
        return {}  # a step's own print that looks like ours is just a line of its log
    return body if isinstance(body, dict) else {}


def _numbers(body: dict[str, Any]) -> dict[str, float]:
    """The finite numbers of a point; without a step it is no point."""
    numeric = {k: v for k, v in body.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    finite = {k: v for k, v in numeric.items() if abs(v) <= sys.float_info.max}
    exact = {k: v if abs(v) < 2**53 else float(v) for k, v in finite.items()}  # the database takes no longer integers
    return exact if "step" in exact else {}

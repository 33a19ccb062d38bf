"""Reads what running tasks say in their logs: `::progress {...}` and `::metric {...}`; other lines are just the log."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PROGRESS, _METRIC = b"::progress ", b"::metric "
_CHUNK_BYTES = 1 << 20


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


def read_from(path: Path, offset: int) -> Said:
    """Reads whole lines of a log from an offset on; a line that is still being written waits for the next time."""
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
    return Said(offset, progress, tuple(metrics))


def _body(line: bytes, mark: bytes) -> dict[str, Any]:
    if not line.startswith(mark):
        return {}
    try:
        body = json.loads(line.removeprefix(mark))
    except ValueError:
        return {}  # a step's own print that looks like ours is just a line of its log
    return body if isinstance(body, dict) else {}


def _numbers(body: dict[str, Any]) -> dict[str, float]:
    """The finite numbers of a point; without a step it is no point."""
    numeric = {k: v for k, v in body.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    finite = {k: v for k, v in numeric.items() if math.isfinite(v)}
    return finite if "step" in finite else {}

"""The log of a task, followed while the task writes, over all its attempts."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline import local
from pipeline.engine.reader import Reader
from pipeline.engine.states import TASK_ENDED
from pipeline.errors import NotFound

SECONDS_BETWEEN_LOOKS = 0.5


def follow(reader: Reader, run_id: str, key: str) -> Iterator[bytes]:
    """Yields what a task writes until it ends; the log of a further attempt comes after that of the one before.

    Says on stderr what it waits for while the task has not started. Ends when nobody executes the run any more.

    Raises:
        NotFound: the task ended without ever having started.
    """
    place: Path | None = None
    offset = 0
    told = False
    while True:
        task = reader.task(run_id, key)
        over = task.state in TASK_ENDED or local.interrupted(reader.run(run_id))
        newest = _path(reader, run_id, key, must_exist=over)
        if place and newest != place:
            yield _rest(place, offset)
            offset = 0
        place = newest
        if place:
            text = _rest(place, offset)
            offset += len(text)
            yield text
        elif not told:
            told = True
            print(f"{task.label} has not started: {task.reason or 'the run is waiting'}", file=sys.stderr, flush=True)
        if over:
            return
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _path(reader: Reader, run_id: str, key: str, must_exist: bool) -> Path | None:
    try:
        path = reader.log_path(run_id, key)
    except NotFound:
        if must_exist:
            raise
        return None
    return path if path.exists() else None


def _rest(path: Path, offset: int) -> bytes:
    with path.open("rb") as log:
        log.seek(offset)
        return log.read()

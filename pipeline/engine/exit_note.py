"""How an attempt ended, noted in its folder before what ran it is removed, so that a crash in between loses nothing."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.engine.failures import Failure
from pipeline.engine.launch import Exit

NAME = "exit.json"
USAGE, USAGE_FILE = "SEAMLINE_USAGE", "usage.json"
"""The environment variable by which a container learns where to note what it used; the file in the attempt's folder."""
_MEASURED = ("max_rss_bytes", "cpu_s")
_MOST_BYTES = 4096
_MOST = 2.0**60


def read(directory: Path) -> Exit | None:
    """The note in an attempt's folder; None when it has not ended."""
    path = directory / NAME
    if not path.exists():
        return None
    body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Exit(body["code"], body["usage"], Failure.from_json(body.get("failure") or {}))


def write(directory: Path, ended: Exit) -> None:
    """Leaves the note, whole or not at all, and on disk before anybody removes what ran.

    Raises:
        OSError: there is no room.
    """
    failure = ended.failure.as_json() if ended.failure else {}
    fresh = directory / (NAME + ".new")
    with fresh.open("w", encoding="utf-8") as stream:
        json.dump({"code": ended.code, "usage": dict(ended.usage), "failure": failure}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(fresh, directory / NAME)


def with_usage(directory: Path, ended: Exit) -> Exit:
    """Adds what the command itself has noted of its memory and CPU time; an image that is not ours notes nothing."""
    return replace(ended, usage={**ended.usage, **_noted_usage(directory / USAGE_FILE)})


def _noted_usage(path: Path) -> dict[str, float]:
    """Only what can be true: the command may have written anything."""
    try:
        found = path.lstat()
        is_note = stat.S_ISREG(found.st_mode) and found.st_size <= _MOST_BYTES
        body = json.loads(path.read_bytes()) if is_note else {}
    except (OSError, ValueError):
        return {}
    told = body if isinstance(body, dict) else {}
    return {name: told[name] for name in _MEASURED if type(told.get(name)) in (int, float) and 0 <= told[name] < _MOST}

"""How an attempt ended, noted in its folder before what ran it is removed, so that a crash in between loses nothing."""

import json
import os
from pathlib import Path
from typing import Any

from pipeline.engine.failures import Failure
from pipeline.engine.launch import Exit

NAME = "exit.json"


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

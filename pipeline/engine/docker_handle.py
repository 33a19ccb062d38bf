"""The handle of a container, and the note that says how it ended once the container itself is gone."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.engine.failures import Failure
from pipeline.engine.launch import Exit

NOTE = "exit.json"


@dataclass(frozen=True)
class Handle:
    """A container's id, empty when none could be made, and its attempt's folder."""

    container: str
    directory: str

    @property
    def text(self) -> str:
        """What the engine keeps."""
        return json.dumps(asdict(self))

    @staticmethod
    def read(text: str) -> "Handle":
        """What `text` was made from."""
        return Handle(**json.loads(text))

    @property
    def log(self) -> Path:
        """The log of the attempt."""
        return Path(self.directory) / "log"

    def leave_note(self, ended: Exit) -> None:
        """Writes down how it ended, whole or not at all, and on disk before anybody removes the container.

        Raises:
            OSError: there is no room.
        """
        fresh, note = (Path(self.directory) / name for name in (NOTE + ".new", NOTE))
        failure = ended.failure.as_json() if ended.failure else {}
        with fresh.open("w", encoding="utf-8") as stream:
            json.dump({"code": ended.code, "usage": dict(ended.usage), "failure": failure}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, note)

    def noted(self) -> Exit | None:
        """What `leave_note` wrote; None when it did not come to that."""
        note = Path(self.directory) / NOTE
        if not note.exists():
            return None
        body = json.loads(note.read_text(encoding="utf-8"))
        return Exit(body["code"], body["usage"], Failure.from_json(body["failure"]))

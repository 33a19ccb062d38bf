"""The handle of a container."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


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
    def folder(self) -> Path:
        """The attempt's folder."""
        return Path(self.directory)

    @property
    def log(self) -> Path:
        """The log of the attempt."""
        return self.folder / "log"

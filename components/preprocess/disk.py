"""A full disk, said in one line: where, how much is missing, what to do."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.errors import DataError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class Volume:
    """How much has been written of how much, to tell what is still needed.

    Attributes:
        folder: on the disk that is written to.
        total: pictures in all.
        done: pictures written.
        written: bytes written.
    """

    folder: Path
    total: int
    done: int = 0
    written: int = 0

    def add(self, size: int) -> None:
        """Counts one picture of `size` bytes."""
        self.done += 1
        self.written += size

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turns a full disk inside the block into a DataError."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise DataError(self._message()) from error

    def _message(self) -> str:
        home = next(folder for folder in (self.folder, *self.folder.parents) if folder.exists())
        free = _mb(shutil.disk_usage(home).free)
        needed = f"the shards need about {_mb(self.written * self.total // self.done)}, " if self.done else ""
        state = f"the disk of {self.folder} is full after {self.done} of {self.total} pictures: {needed}{free} are free"
        return f"{state}; free some space, choose another data root, or lower preprocess.size_px or quality"


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"

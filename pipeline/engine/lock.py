"""One executing process per state folder. Readers need no lock; the kernel drops it when its holder dies."""

import fcntl
import os
from pathlib import Path

from pipeline.errors import StateError

FILE = "seamline.lock"


class StateLock:
    """An exclusive lock on a state folder; the same object may take it several times."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._descriptor: int | None = None
        self._depth = 0

    def acquire(self) -> None:
        """Takes the lock.

        Raises:
            StateError: another process holds it.
        """
        if self._depth == 0:
            self._descriptor = self._locked_descriptor()
        self._depth += 1

    def release(self) -> None:
        """Gives the lock back; the file stays, so that nobody locks a deleted one."""
        self._depth -= 1
        if self._depth == 0 and self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _locked_descriptor(self) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)  # not inherited by children (PEP 446)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 64).decode().strip() or "another process"
            os.close(descriptor)
            raise StateError(
                f"state folder {self._path.parent} is executing runs in process {holder}; "
                "wait for it, terminate its run, or give another folder with --state"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        return descriptor

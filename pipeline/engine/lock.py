"""One executing process per state folder. Readers need no lock; the kernel drops it when its holder dies."""

import fcntl
import os
import time
from pathlib import Path

from pipeline.errors import StateError

FILE = "seamline.lock"
SERVING = "serving"
_TRIES, _TRY_S = 5, 0.02


class StateLock:
    """An exclusive lock on a state folder; the same object may take it several times."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._descriptor: int | None = None
        self._depth = 0

    def acquire(self, serving: bool = False) -> None:
        """Takes the lock; `serving` tells others that runs they make will be executed.

        Raises:
            StateError: another process holds it.
        """
        if self._depth == 0:
            self._descriptor = self._locked_descriptor(serving)
        self._depth += 1

    def release(self) -> None:
        """Gives the lock back; the file stays, so that nobody locks a deleted one."""
        self._depth -= 1
        if self._depth == 0 and self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _locked_descriptor(self, serving: bool) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)  # not inherited by children (PEP 446)
        if not _taken(descriptor):
            holder = os.read(descriptor, 64).decode().split() or ["of an unknown number"]
            os.close(descriptor)
            raise StateError(_held(self._path.parent, *holder))
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}{' ' + SERVING if serving else ''}".encode())
        return descriptor


def _taken(descriptor: int) -> bool:
    """Tries for a moment: whoever asks `is_served` holds the lock for an instant."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(_TRY_S)
    return False


def is_served(directory: Path) -> bool:
    """Whether a living server executes the runs of a state folder."""
    try:
        descriptor = os.open(directory / FILE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return SERVING in os.read(descriptor, 64).decode().split()
    finally:
        os.close(descriptor)
    return False


def _held(directory: Path, pid: str, role: str = "") -> str:
    if role == SERVING:
        return f"state folder {directory} is served by process {pid}; stop that server, or give another --state"
    return (
        f"state folder {directory} is executing runs in process {pid}; "
        "wait for it, terminate its run, or give another folder with --state"
    )

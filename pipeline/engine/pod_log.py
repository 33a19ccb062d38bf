"""Copies the log of a Pod into the attempt's folder while it is written, once, whatever is interrupted.

The log is always read from its beginning, and what is there already is skipped: no position has to survive a crash.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.engine.kubernetes_api import Cluster, Refused, Stream, Unreachable
from pipeline.engine.supervise import Log

_HEAD_BYTES = 1024
_RECONNECT_S = 1.0
_LAST_TRIES = 60
_NOT_FOUND = 404
# What a node answers, with HTTP 200, in place of the log of a container that it has removed.
_REMOVED = re.compile(rb"^(?:unable to retrieve container logs for|failed to try resolving symlinks in path) [^\n]*$")
SEAM = b"\nseamline: the node no longer has all of the log; lines are missing here\n"


class Removed(Exception):
    """The node has removed the container, and its log with it."""


class LogCopy:
    """Follows one Pod's log in a thread.

    Attributes:
        is_complete: all of it is in the file, or there is nothing more to be had.
    """

    def __init__(self, cluster: Cluster, name: str, path: Path, pause: Callable[[float], None] = time.sleep) -> None:
        self._cluster = cluster
        self._pause = pause
        self._name = name
        self._path = path
        self._ended = threading.Event()
        self._following: Stream | None = None
        self._was_cut = False
        self.is_complete = False
        self._log = Log(str(path))
        self._thread = threading.Thread(target=self.run, name=f"log of {name}", daemon=True)

    def start(self) -> "LogCopy":
        """Begins to copy."""
        self._thread.start()
        return self

    def end(self) -> None:
        """Says that the Pod has ended, so that what is there now is all."""
        self._ended.set()
        if self._following:
            self._following.stop()  # a node may keep the connection of a container that is gone

    def run(self) -> None:
        """Copies until the Pod has ended and all of its log was read."""
        for _ in range(_LAST_TRIES):
            while not self._ended.is_set():
                self._copy(follow=True)
                self._ended.wait(_RECONNECT_S)
            if self._copy(follow=False):
                break
            self._pause(_RECONNECT_S)
        self._log.close()
        self.is_complete = True

    def _copy(self, follow: bool) -> bool:
        """Whether there is nothing more to be had from where the Pod is now."""
        try:
            stream = self._cluster.log(self._name, follow)
            self._following = stream if follow else None
            for piece in unread(stream, self._path):
                self._log.write(piece)
            self._was_cut = False
        except Unreachable:
            self._was_cut = True
            return False
        except Removed:
            if not follow and self._was_cut:
                self._log.write(SEAM)
            return True
        except Refused as error:  # its API server or its node may not be whole again yet
            return error.status == _NOT_FOUND
        return True


def unread(stream: Iterable[bytes], path: Path) -> Iterator[bytes]:
    """The part of a log, read from its beginning, that is not in the file yet.

    The node may have dropped the beginning of a long log, so the stream may begin in the middle of the file.

    Raises:
        Removed: there is none any more.
    """
    known: memoryview | None = None
    for piece in stream:
        if known is None:
            if _REMOVED.match(piece):
                raise Removed
            known = _known_from(piece, path)
        expected = bytes(known[: len(piece)])
        known = known[len(piece) :]
        if not piece.startswith(expected):
            known = memoryview(b"")
            yield SEAM + piece
        elif len(expected) < len(piece):
            yield piece[len(expected) :]


def _known_from(piece: bytes, path: Path) -> memoryview:
    """What the file has from where the stream begins."""
    text = path.read_bytes() if path.exists() else b""
    head = piece[:_HEAD_BYTES]
    begin = 0 if head.startswith(text[: len(head)]) else max(0, text.rfind(head))
    return memoryview(text)[begin:]

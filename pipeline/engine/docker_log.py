"""Copies what a container says to its task's log: as it comes, bounded, and once, whatever breaks meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from pipeline.engine.supervise import Log

AGAIN_S = 0.5


class Output(Protocol):
    """What a container has said and still says."""

    def stream(self, follow: bool) -> Iterator[bytes]:
        """From its beginning: to what it has said now, or on until it ends.

        Raises:
            OSError: the Docker Engine does not answer (any more).
        """

    def runs(self) -> bool:
        """Whether it may say more; also True while the Docker Engine does not answer."""


class Copy:
    """A thread that keeps a log equal to a container's output.

    The Docker Engine keeps the output itself, so a copy that was cut off, by the end of our engine or of Docker's,
    begins anew and leaves out as many bytes as the log has. When the container has ended, a last pass looks whether a
    stream that broke has left something out.
    """

    def __init__(self, output: Output, path: Path, pause: Callable[[float], object] = time.sleep) -> None:
        self._output = output
        self._path = path
        self._pause = pause
        self._thread = threading.Thread(target=self._work, name="container log", daemon=True)

    def begin(self) -> None:
        """Starts copying."""
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether all that the container said is in the log."""
        return not self._thread.is_alive()

    def _work(self) -> None:
        while self._output.runs():
            if not self._pass_over(follow=True):
                self._pause(AGAIN_S)
        for _ in range(3):
            if self._pass_over(follow=False):
                return
            self._pause(AGAIN_S)

    def _pass_over(self, follow: bool) -> bool:
        """Copies what is new; False when the stream broke."""
        log = Log(str(self._path), already=self._path.stat().st_size if self._path.exists() else 0)
        try:
            for piece in self._output.stream(follow):
                log.write(piece)
        except OSError:
            log.leave()
            return False
        if follow:
            log.leave()
        else:
            log.close()
        return True

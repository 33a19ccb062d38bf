"""A bounded folder of local copies of objects, for any number of threads and processes at a time.

The file system is the only book-keeping: a copy is a file `<digest>/<name>`, its time of change says when it was last
used, and locks on the files say who is at work. A file that is open is pinned: it is not removed. A download goes into
`.parts/`, takes its whole room before it begins, and is renamed when its checksum is right. The kernel drops a dead
process's locks, so whatever a `kill -9` leaves in `.parts/` belongs to nobody and is cleared away by the next download.
"""

import fcntl
import io
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from components.artifacts import gcs
from components.errors import DataError, Unreachable

FOLDER, LIMIT_MB = "SEAMLINE_CACHE", "SEAMLINE_CACHE_MB"
DEFAULT_MB = 10_000
_PARTS, _LOCK = ".parts", ".lock"
_PATIENCE_S = 600  # for others to close what they have open
_HELD = 8
_BUFFER = 1 << 17
# What was handed out by name: each copy stays pinned until so many others have been.
_held: deque[BinaryIO] = deque()
_holding = threading.Lock()


@dataclass(frozen=True)
class Cache:
    """A folder that never takes more than `limit` bytes of disk.

    Attributes:
        folder: made when it is needed.
        limit: bytes.
        size: an object's address to its bytes.
        download: appends an object of so many bytes to a file, or raises.
    """

    folder: Path
    limit: int
    size: Callable[[str], int] = gcs.size
    download: Callable[[str, BinaryIO, int], None] = gcs.download

    def open(self, reference: str, name: str, size: int | None = None) -> BinaryIO:
        """The local copy of a file of a reference, open for reading; downloaded first if it is not there.

        Args:
            reference: on gs://.
            name: of the file, relative to it.
            size: its bytes, where they are known; saves a request.

        Raises:
            DataError: it is larger than the cache, or of another size.
            Unreachable: the cache is full of files that others have open.
        """
        uri, path = f"{reference}/{name}", self._place(reference, name)
        while (file := _pinned(path)) is None:
            self._fetch(uri, path, self.size(uri) if size is None else size)
        return file

    def path(self, reference: str, name: str) -> Path:
        """As `open`, for whoever needs a name. It stays while this process asks for seven others."""
        _held.append(self.open(reference, name))
        _let_go(_HELD)
        return self._place(reference, name)

    def holds(self, reference: str, name: str) -> bool:
        """Whether the copy is there at this moment."""
        return self._place(reference, name).exists()

    def _place(self, reference: str, name: str) -> Path:
        return self.folder / reference.rsplit("/", 1)[-1] / name.replace("/", "~")

    def _fetch(self, uri: str, path: Path, size: int) -> None:
        if size > self.limit:
            raise DataError(
                f"{uri} has {size:,} bytes, the cache {self.folder} may take {self.limit:,}; raise {LIMIT_MB}"
            )
        with self._part(path) as part:
            if path.exists():  # somebody else has fetched it while we waited for the lock
                return
            self._reserve(part, size)
            self.download(uri, part, size)
            part.flush()
            os.fsync(part.fileno())
            with self._locked():
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(self._part_place(path), path)

    def _part_place(self, path: Path) -> Path:
        return self.folder / _PARTS / f"{path.parent.name}~{path.name}"

    @contextmanager
    def _part(self, path: Path) -> Iterator[BinaryIO]:
        """The file that a copy is downloaded into, empty and locked: one downloader for each copy."""
        (self.folder / _PARTS).mkdir(parents=True, exist_ok=True)
        place = self._part_place(path)
        file = _only_opener(place)
        try:
            file.truncate(0)  # what a killed process has left
            yield file
        finally:
            if _is_at(file, place):  # else it has been renamed, and the name may be another downloader's by now
                place.unlink()
            file.close()

    def _reserve(self, part: BinaryIO, size: int) -> None:
        """Makes room and takes it: from now on the part counts with its whole size, though nothing is in it yet."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self._room_taken(part, size):
            _let_go(0)
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"the cache {self.folder} is full of files in use and {size:,} bytes do not fit; raise {LIMIT_MB}"
                )
            time.sleep(0.05)

    def _room_taken(self, part: BinaryIO, size: int) -> bool:
        with self._locked():
            room = self.limit - size - sum(_live_parts(self.folder / _PARTS))
            copies = sorted(_copies(self.folder))
            taken = sum(length for _, length, _ in copies)
            for _, length, path in copies:
                if taken <= room:
                    break
                taken -= length if _evicted(path) else 0
            if taken > room:
                return False
            part.truncate(size)
            return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.folder / _LOCK, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def cache() -> Cache:
    """The cache that the environment names: `SEAMLINE_CACHE` (folder) and `SEAMLINE_CACHE_MB` (10^6 bytes).

    Raises:
        DataError: the limit is no positive number.
    """
    folder = os.environ.get(FOLDER) or str(Path(tempfile.gettempdir()) / f"seamline-cache-{os.getuid()}")
    limit = os.environ.get(LIMIT_MB) or str(DEFAULT_MB)
    if not limit.isdigit() or int(limit) < 1:
        raise DataError(f"{LIMIT_MB}={limit!r} is not a number of megabytes; give one, for instance {DEFAULT_MB}")
    return Cache(Path(folder), int(limit) * 1_000_000)


def _pinned(path: Path) -> BinaryIO | None:
    """A copy, open and with a shared lock, and used just now; None where there is none."""
    try:
        file = io.BufferedReader(io.FileIO(path), _BUFFER)
    except FileNotFoundError:
        return None
    fcntl.flock(file, fcntl.LOCK_SH)
    if os.fstat(file.fileno()).st_nlink == 0:  # removed between the two lines before
        file.close()
        return None
    os.utime(file.fileno())
    return file


def _copies(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """Time of last use, bytes and path of every copy."""
    for path in folder.glob("[!.]*/*"):
        found = path.stat()
        yield found.st_mtime_ns, found.st_size, path


def _evicted(path: Path) -> bool:
    """Removes a copy unless somebody has it open."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink()
    with suppress(OSError):  # not empty
        path.parent.rmdir()
    return True


def _live_parts(folder: Path) -> Iterator[int]:
    """Bytes of every download under way; those whose process is dead are removed."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError), open(path, "rb") as file:  # some end just now
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            except BlockingIOError:
                yield os.fstat(file.fileno()).st_size


def _only_opener(place: Path) -> BinaryIO:
    """A file open for writing and locked."""
    while True:
        file = os.fdopen(os.open(place, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        if _is_at(file, place):
            return file
        file.close()  # while we waited for the lock it was renamed or removed


def _is_at(file: BinaryIO, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), place.stat())
    except FileNotFoundError:
        return False


def _let_go(keep: int) -> None:
    """Unpins all but the last of the copies that were handed out by name."""
    with _holding:
        while len(_held) > keep:
            _held.popleft().close()

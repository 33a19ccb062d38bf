"""Files by URI: a local path or `gs://bucket/object`. The only place that knows the difference.

Writes are atomic: a reader sees the whole file or none. On GCS an object appears when its upload ends; locally a file
is written aside, flushed to disk and renamed. What is read, changed and written goes through `update` or `replace`, so
that of two writers none loses what it wrote.
"""

import fcntl
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from components.artifacts import gcs
from components.errors import Conflict, DataError, Missing


class Entry(NamedTuple):
    """One file of a listing. `stamp` is another whenever the file was written anew: its times, or its generation."""

    name: str
    size: int
    stamp: str


def is_remote(uri: str) -> bool:
    """True for `gs://...`."""
    return uri.startswith("gs://")


def join(root: str, *parts: str) -> str:
    """Joins URI parts with single slashes."""
    return "/".join([root.rstrip("/"), *(p.strip("/") for p in parts)])


def exists(uri: str) -> bool:
    """True if the file (not a folder) exists."""
    return gcs.exists(uri) if is_remote(uri) else Path(uri).is_file()


def size(uri: str) -> int:
    """Bytes of a file. Raises Missing where it is not there."""
    return gcs.size(uri) if is_remote(uri) else _existing(uri).stat().st_size


def read_bytes(uri: str) -> bytes:
    """The whole content of a file. Raises Missing where it is not there."""
    return gcs.read(uri)[0] if is_remote(uri) else _existing(uri).read_bytes()


def read_version(uri: str) -> tuple[bytes, int]:
    """The content of a file and its version, to be given to `replace`. Versions are known on gs:// only, else 0."""
    return gcs.read(uri) if is_remote(uri) else (_existing(uri).read_bytes(), 0)


def write_bytes(uri: str, data: bytes) -> None:
    """Writes a file atomically, whatever stood there."""
    if is_remote(uri):
        gcs.write(uri, data)
        return
    with _aside(Path(uri)) as file:
        file.write(data)


def replace(uri: str, data: bytes, version: int) -> int:
    """Replaces a version of a file (0: there is none yet) and returns the new one.

    Raises:
        Conflict: on gs://, where somebody else has written it meanwhile. On a disk the last writer wins: use `update`.
    """
    if is_remote(uri):
        return gcs.replace(uri, io.BytesIO(data), version)
    write_bytes(uri, data)
    return 0


def update(uri: str, change: Callable[[bytes | None], bytes | None]) -> None:
    """Reads, changes and writes a file such that of several writers, on whatever machines, none loses its change.

    Args:
        uri: of the file.
        change: content, or None where there is no file, to the new one, or None to leave it as it is. On gs:// it is
            called again when another writer was faster.
    """
    if is_remote(uri):
        gcs.update(uri, change)
        return
    path = Path(uri)
    with _locked(path.parent):
        after = change(path.read_bytes() if path.is_file() else None)
        if after is not None:
            write_bytes(uri, after)


def create(uri: str, data: bytes) -> None:
    """Writes a file unless there is one already; that stays as it is."""
    if is_remote(uri):
        gcs.create(uri, io.BytesIO(data))
    elif not Path(uri).is_file():
        write_bytes(uri, data)


def list_files(uri: str) -> Iterator[str]:
    """Paths of all files below a folder, relative to it, sorted; hidden files and `.aside-` leftovers left out."""
    if is_remote(uri):
        yield from (entry.name for entry in entries(uri))
        return
    root = Path(uri)
    found = (p.relative_to(root) for p in root.rglob("*") if p.is_file())
    yield from sorted(str(p) for p in found if not any(part.startswith(".") for part in p.parts))


def entries(uri: str) -> list[Entry]:
    """What `list_files` names, with sizes and stamps, without a look into any file. Vanished files are left out."""
    if is_remote(uri):
        listed = gcs.listing(uri.rstrip("/") + "/")
        return [Entry(name, size, str(stamp)) for name, size, stamp in listed if name and not name.endswith("/")]
    return sorted(_local_entries(Path(uri)))


def folders(uri: str) -> list[str]:
    """Names of the folders directly in a folder, sorted; hidden ones left out. Raises DataError where it is missing."""
    if is_remote(uri):
        return [name for name in gcs.folders(uri.rstrip("/") + "/") if not name.startswith(".")]
    if not Path(uri).is_dir():
        raise DataError(f"{uri} is not a folder; check the address")
    return sorted(p.name for p in Path(uri).iterdir() if p.is_dir() and not p.name.startswith("."))


def local_copy(uri: str, folder: Path) -> Path:
    """A local path with the file's bytes: the file itself, or a download into `folder` done once."""
    if not is_remote(uri):
        return _existing(uri)
    target = folder / Path(uri).name
    if not target.exists():
        with _aside(target) as file:
            gcs.download(uri, file)
    return target


def put_file(source: Path, uri: str) -> None:
    """Moves a finished local file to its place: a rename where possible, an upload for `gs://`.

    Raises:
        Conflict: on gs://, where another file stands there already; an equal one is as good.
    """
    if is_remote(uri):
        with open(source, "rb") as file:
            if not gcs.create(uri, file):
                raise Conflict(f"{uri} exists with other bytes; remove it, it is damaged or somebody else's")
        source.unlink()
        return
    target = Path(uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(source, "rb") as handle:
        os.fsync(handle.fileno())
    shutil.move(source, target)


def remove_folder(uri: str, first: str = "") -> None:
    """Removes a folder with everything in it; one that is not there is no error, nor a file written again meanwhile.

    Args:
        uri: the folder.
        first: name of the file in it that goes before all others, or nothing goes.

    Raises:
        OSError: the first thing in a local folder that stays; everything that can go has gone.
    """
    if not is_remote(uri):
        if first:
            Path(uri, first).unlink(missing_ok=True)
        _remove_tree(uri)
        return
    for entry in sorted(entries(uri), key=lambda entry: entry.name != first):
        gcs.remove(join(uri, entry.name), int(entry.stamp))


def _remove_tree(folder: str) -> None:
    """`shutil.rmtree` that goes on past what it cannot remove, and then says what that was."""
    hindered: list[OSError] = []

    def note(function: object, path: str, found: Any) -> None:
        if not isinstance(found[1], FileNotFoundError):
            hindered.append(OSError(found[1].errno, found[1].strerror or str(found[1]), path))

    shutil.rmtree(folder, onerror=note)
    if hindered:
        raise hindered[0]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps writers on one machine apart."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _local_entries(root: Path) -> Iterator[Entry]:
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            path = Path(folder, name)
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            if not name.startswith(".") and stat.S_ISREG(found.st_mode):
                # The time of change too: a copy that keeps the file's own time is noticed.
                stamp = f"{found.st_mtime_ns} {found.st_ctime_ns}"
                yield Entry(str(path.relative_to(root)), found.st_size, stamp)


def _existing(uri: str) -> Path:
    path = Path(uri)
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise Missing(f"{uri} {what}; check the address")
    return path


@contextmanager
def _aside(target: Path) -> Iterator[BinaryIO]:
    """A file that becomes `target` when the block ends well and vanishes when it doesn't."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".aside-", delete=False) as aside:
        try:
            yield cast(BinaryIO, aside)
            aside.flush()
            os.fsync(aside.fileno())
        except BaseException:
            os.unlink(aside.name)
            raise
    os.chmod(aside.name, 0o644)
    os.replace(aside.name, target)

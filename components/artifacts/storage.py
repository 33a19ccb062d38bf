"""Files by URI: a local path or `gs://bucket/object`. The only place that knows the difference.

Writes are atomic: a reader sees the whole file or none. On GCS an object appears when its upload ends; locally a file
is written aside, flushed to disk and renamed.
"""

import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from components.errors import DataError

_CHUNK = 8 << 20  # bytes of a file in memory while it is uploaded; the client's own default is 100 MB


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
    return bool(_blob(uri).exists()) if is_remote(uri) else Path(uri).is_file()


def size(uri: str) -> int:
    """Bytes of a file. Raises DataError where it is missing."""
    if not is_remote(uri):
        return _existing(uri).stat().st_size
    blob = _blob(uri)
    if not blob.exists():
        raise DataError(f"{uri} does not exist; check the address")
    blob.reload()
    return int(blob.size)


def read_bytes(uri: str) -> bytes:
    """The whole content of a file. Raises DataError where it is missing."""
    if not is_remote(uri):
        return _existing(uri).read_bytes()
    content = io.BytesIO()
    _download(uri, content)
    return content.getvalue()


def write_bytes(uri: str, data: bytes) -> None:
    """Writes a file atomically."""
    if is_remote(uri):
        _blob(uri).upload_from_string(data, checksum="crc32c")
        return
    with _aside(Path(uri)) as file:
        file.write(data)


def list_files(uri: str) -> Iterator[str]:
    """Paths of all files below a folder, relative to it, sorted; hidden files and `.aside-` leftovers left out."""
    if is_remote(uri):
        yield from sorted(n for n in _names_below(uri.rstrip("/") + "/") if n and not n.endswith("/"))
        return
    root = Path(uri)
    found = (p.relative_to(root) for p in root.rglob("*") if p.is_file())
    yield from sorted(str(p) for p in found if not any(part.startswith(".") for part in p.parts))


def entries(uri: str) -> list[Entry]:
    """What `list_files` names, with sizes and stamps, without a look into any file. Vanished files are left out."""
    if is_remote(uri):
        found = [
            Entry(name, int(blob.size or 0), str(blob.generation)) for name, blob in _blobs_below(uri.rstrip("/") + "/")
        ]
        return sorted(entry for entry in found if entry.name and not entry.name.endswith("/"))
    return sorted(_local_entries(Path(uri)))


def folders(uri: str) -> list[str]:
    """Names of the folders directly in a folder, sorted; hidden ones left out. Raises DataError where it is missing."""
    if is_remote(uri):
        return sorted(name for name in _remote_folders(uri.rstrip("/") + "/") if not name.startswith("."))
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
            _download(uri, file)
    return target


def put_file(source: Path, uri: str) -> None:
    """Moves a finished local file to its place: a rename where possible, an upload for `gs://`."""
    if is_remote(uri):
        _blob(uri, chunk_size=_CHUNK).upload_from_filename(str(source), checksum="crc32c")
        source.unlink()
        return
    target = Path(uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(source, "rb") as handle:
        os.fsync(handle.fileno())
    shutil.move(source, target)


def remove_folder(uri: str) -> None:
    """Removes a folder with everything in it; one that is not there is no error."""
    if not is_remote(uri):
        shutil.rmtree(uri, ignore_errors=True)
        return
    for name in list_files(uri):
        _blob(join(uri, name)).delete()


def _names_below(uri: str) -> list[str]:
    return [name for name, _ in _blobs_below(uri)]


def _blobs_below(uri: str) -> list[tuple[str, Any]]:
    """Names relative to the prefix, with the objects."""
    prefix = _split(uri)[1]
    with _listing(uri) as blobs:
        return [(blob.name[len(prefix) :], blob) for blob in blobs]


def _remote_folders(uri: str) -> list[str]:
    prefix = _split(uri)[1]
    with _listing(uri, delimiter="/") as blobs:
        list(blobs)  # the prefixes are known once all pages have been read
        return [name[len(prefix) :].rstrip("/") for name in blobs.prefixes]


@contextmanager
def _listing(uri: str, **how: str) -> Iterator[Any]:
    from google.api_core.exceptions import ClientError

    bucket, prefix = _split(uri)
    try:
        yield _client().list_blobs(bucket, prefix=prefix, **how)
    except ClientError as error:  # no such bucket, or no permission
        raise DataError(f"{uri} cannot be listed: {error.message}; check the address and the credentials") from error


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
        raise DataError(f"{uri} {what}; check the address")
    return path


def _split(uri: str) -> tuple[str, str]:
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name


def _blob(uri: str, chunk_size: int | None = None) -> Any:
    bucket, name = _split(uri)
    return _client().bucket(bucket).blob(name, chunk_size=chunk_size)


def _download(uri: str, file: BinaryIO) -> None:
    from google.api_core.exceptions import NotFound

    try:
        _blob(uri).download_to_file(file, checksum="crc32c")
    except NotFound as error:
        raise DataError(f"{uri} does not exist; check the address") from error


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


@cache
def _client() -> Any:
    from google.cloud import storage  # loaded only where a gs:// address is used: it takes a second

    if os.environ.get("STORAGE_EMULATOR_HOST"):
        from google.auth.credentials import AnonymousCredentials

        return storage.Client(project="test", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return storage.Client()
    except DefaultCredentialsError as error:
        raise DataError(
            "gs:// addresses need Google credentials; `gcloud auth application-default login` makes them"
        ) from error

"""Objects on Google Cloud Storage: ranged parallel downloads, resumable uploads, checksums both ways, preconditions.

Every object that is read is checked against the server's crc32c before anybody gets to see it, and every one that is
written carries its crc32c and the generation it is to replace (0: it must not be there yet).
"""

import base64
import gzip
import io
import random
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import google_crc32c

from components.artifacts import gcs_connection
from components.artifacts.gcs_connection import READER, WRITER, connection, how, in_words, split
from components.artifacts.gcs_ranges import PIECE, Piece, ahead, piece
from components.errors import Conflict, DataError, Missing

_CHUNK = 8 << 20  # bytes of one request of a resumable upload, and in memory; the library's own default is 100 MB
_MOST_CONFLICTS = 20


def read(uri: str) -> tuple[bytes, int]:
    """The content of an object, and its generation. Objects stored with `Content-Encoding: gzip` are unpacked."""
    content = io.BytesIO()
    first = _download(uri, content)
    data = content.getvalue()
    return gzip.decompress(data) if first.is_gzipped else data, first.generation


def download(uri: str, file: BinaryIO, size: int | None = None) -> None:
    """Appends the bytes of an object, as they are stored, to a file. After an error the file must be thrown away.

    Args:
        uri: of the object.
        file: open for writing.
        size: the bytes that it must have, where they are known; another object is refused before anything is written.
    """
    _download(uri, file, size)


def read_range(uri: str, start: int, length: int) -> bytes:
    """Some bytes of an object, in one request. No checksum covers them: whoever asks must check them."""
    with in_words(uri, READER):
        return piece(uri, start, length).data


def size(uri: str) -> int:
    """Bytes of an object."""
    with in_words(uri, READER):
        return int(_stat(uri).size)


def content(uri: str) -> str:
    """Bytes and crc32c of an object, as the storage keeps them: equal for equal content, without reading it."""
    with in_words(uri, READER):
        found = _stat(uri)
        return f"{found.size} {found.crc32c}"


def exists(uri: str) -> bool:
    """True if the object exists."""
    with in_words(uri, READER):
        return bool(_blob(uri).exists(**how()))


def listing(uri: str) -> list[tuple[str, int, int]]:
    """Name relative to a prefix, size and generation of every object below it, sorted by name."""
    prefix = split(uri)[1]
    with in_words(uri, READER):
        found = _list(uri, fields="items(name,size,generation),nextPageToken")
        return sorted((b.name[len(prefix) :], int(b.size or 0), int(b.generation)) for b in found)


def folders(uri: str) -> list[str]:
    """Names of the folders directly below a prefix that ends in a slash."""
    prefix = split(uri)[1]
    with in_words(uri, READER):
        found = _list(uri, delimiter="/", fields="prefixes,nextPageToken")
        list(found)  # the prefixes are known once all pages have been read
        return sorted(name[len(prefix) :].rstrip("/") for name in found.prefixes)


def create(uri: str, file: BinaryIO) -> bool:
    """Writes an object that is not there yet. False: it is there, with other bytes; it stays as it is."""
    return _put(uri, file, 0)


def replace(uri: str, file: BinaryIO, generation: int) -> int:
    """Replaces one generation of an object by a file's bytes and returns the new one; 0 stands for no object.

    An object that has these very bytes already counts as written: the answer to an attempt before may have been lost.

    Raises:
        Conflict: the object is of another generation, and other.
    """
    from google.api_core.exceptions import PreconditionFailed

    length, crc32c = _measured(file)
    blob = _blob(uri)
    with in_words(uri, WRITER):
        try:
            blob.upload_from_file(
                file, rewind=True, size=length, checksum="crc32c", if_generation_match=generation, **how()
            )
        except PreconditionFailed:
            found = _found(uri)
            if found is None or (int(found.size), found.crc32c) != (length, crc32c):
                raise
            return int(found.generation)
        if blob.crc32c != crc32c:
            blob.delete(if_generation_match=blob.generation, **how())
            raise gcs_connection.wrong_checksum(uri)
    return int(blob.generation)


def update(uri: str, change: Callable[[bytes | None], bytes | None]) -> None:
    """Reads, changes and writes an object such that no other writer's change is lost.

    Args:
        uri: of the object.
        change: content, or None where there is none, to new content, or None to leave it; called again after a
            conflict, with what the other writer has written.
    """

    def attempt() -> bool:
        try:
            before, generation = read(uri)
        except Missing:
            before, generation = None, 0
        after = change(before)
        return after is None or _put(uri, io.BytesIO(after), generation)

    _until_unhindered(uri, attempt)


def write(uri: str, data: bytes) -> None:
    """Writes an object whatever stood there: the last of several writers wins."""
    _until_unhindered(uri, lambda: _put(uri, io.BytesIO(data), _generation(uri)))


def remove(uri: str, generation: int) -> None:
    """Removes a generation of an object; one that is gone, or has been replaced, is no error."""
    try:
        with in_words(uri, WRITER):
            _blob(uri).delete(if_generation_match=generation, **how())
    except (Missing, Conflict):
        return


def _put(uri: str, file: BinaryIO, generation: int) -> bool:
    """False where another writer was faster."""
    try:
        replace(uri, file, generation)
    except Conflict:
        return False
    return True


def _until_unhindered(uri: str, attempt: Callable[[], bool]) -> None:
    for number in range(_MOST_CONFLICTS):
        if attempt():
            return
        time.sleep(random.uniform(0, min(2.0, 0.05 * 2**number)))
    raise Conflict(f"{uri} was written by others {_MOST_CONFLICTS} times in a row; try again")


def _download(uri: str, file: BinaryIO, size: int | None = None) -> Piece:
    with in_words(uri, READER):
        first = piece(uri, 0, PIECE)
        if size not in (None, first.total):
            raise DataError(f"{uri} has {first.total:,} bytes, not {size:,} as written; make its reference anew")
        file.write(first.data)
        crc32c = google_crc32c.value(first.data)
        rest = range(len(first.data), first.total, PIECE) if first.data else range(0)
        for next_piece in ahead(lambda start: piece(uri, start, PIECE, first.generation), rest):
            file.write(next_piece.data)
            crc32c = google_crc32c.extend(crc32c, next_piece.data)
        if crc32c != (_crc32c_of(uri) if first.crc32c is None else first.crc32c):
            raise gcs_connection.wrong_checksum(uri)
    return first


def _measured(file: BinaryIO) -> tuple[int, str]:
    """Bytes of a file and their crc32c, as the server writes it."""
    file.seek(0)
    crc32c = length = 0
    while data := file.read(1 << 20):
        crc32c, length = google_crc32c.extend(crc32c, data), length + len(data)
    return length, base64.b64encode(crc32c.to_bytes(4, "big")).decode()


def _crc32c_of(uri: str) -> int:
    return int.from_bytes(base64.b64decode(_stat(uri).crc32c), "big")


def _stat(uri: str) -> Any:
    blob = _blob(uri)
    blob.reload(**how())
    return blob


def _found(uri: str) -> Any:
    """As `_stat`, None where there is nothing."""
    from google.api_core.exceptions import NotFound

    try:
        return _stat(uri)
    except NotFound:
        return None


def _generation(uri: str) -> int:
    """Of an object; 0 where there is none."""
    with in_words(uri, WRITER):
        found = _found(uri)
    return int(found.generation) if found else 0


def _list(uri: str, **what: str) -> Any:
    bucket, prefix = split(uri)
    return connection().client.list_blobs(bucket, prefix=prefix, **what, **how())


def _blob(uri: str) -> Any:
    bucket, name = split(uri)
    return connection().client.bucket(bucket).blob(name, chunk_size=_CHUNK)

"""Parts of objects on Google Cloud Storage: one ranged request each, a few at a time, gone on with where one was cut.

The library's own parallel download starts processes, cannot go on within a part, and has no limit of time for an
answer that comes drop by drop; so the requests are made here, with the library's credentials.
"""

import base64
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from components.artifacts import gcs_connection
from components.artifacts.gcs_connection import connection, how, split
from components.errors import Unreachable

PIECE = 2 << 20  # bytes of one ranged request
AHEAD = 8  # pieces under way at a time; they bound the memory too
_BUFFER = 1 << 16
_CRC32C = re.compile(r"crc32c=([\w+/=]+)")


@dataclass(frozen=True)
class Piece:
    """Some bytes of an object, and what their answer says about the whole of it. crc32c: None where it says nothing."""

    data: bytes
    total: int
    generation: int
    crc32c: int | None
    is_gzipped: bool


def ahead(work: Callable[[int], Piece], starts: Sequence[int]) -> Iterator[Piece]:
    """The pieces in order, a few of them on their way at a time."""
    if not starts:
        return
    pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="gcs")
    try:
        waiting = deque(pool.submit(work, start) for start in starts[:AHEAD])
        for start in starts[AHEAD:]:
            yield waiting.popleft().result()
            waiting.append(pool.submit(work, start))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def piece(uri: str, start: int, length: int, generation: int = 0) -> Piece:
    """Up to `length` bytes from `start`. A cut or slow answer is gone on with where it ended.

    Args:
        uri: of the object.
        start: first byte.
        length: of the piece; it is shorter where the object ends.
        generation: of the object; 0 takes the present one.
    """
    data, answers = bytearray(), [Piece(b"", start + length, generation, None, False)]

    def attempt() -> None:
        begin, known = start + len(data), answers[-1]
        with _get(uri, begin, min(start + length, known.total), known.generation) as response:
            answers.append(_about(response))
            _receive(response, data, min(length, answers[-1].total - start))

    gcs_connection.retry()(attempt)()
    about = answers[-1]
    return Piece(bytes(data), about.total, about.generation, about.crc32c, about.is_gzipped)


def _get(uri: str, begin: int, end: int, generation: int) -> Any:
    """The answer to a ranged request, its body still to come."""
    from google.api_core import exceptions as api

    bucket, name = split(uri)
    url = f"{connection().client.api_endpoint}/download/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
    params = {"alt": "media"} | ({"generation": str(generation)} if generation else {})
    # Whoever takes gzip gets an object's bytes as they are stored, which is what the checksum is of.
    headers = {"Accept-Encoding": "gzip", "Range": f"bytes={begin}-{end - 1}"}
    timeout = how()["timeout"]
    response = connection().session.get(url, params=params, headers=headers, timeout=timeout, stream=True)
    if response.status_code == 416:  # of an empty object there is no range
        response.close()
        del headers["Range"]
        response = connection().session.get(url, params=params, headers=headers, timeout=timeout, stream=True)
    if response.status_code == 404 and generation:
        response.close()
        raise Unreachable(f"{uri} was replaced while it was read; try again")
    if response.status_code not in (200, 206) or (response.status_code == 200 and begin):
        with response:
            raise api.from_http_response(response)  # type: ignore[no-untyped-call]
    return response


def _about(response: Any) -> Piece:
    headers = response.headers
    total = headers.get("Content-Range", "").rpartition("/")[2] or headers["Content-Length"]
    checksum = _CRC32C.search(headers.get("X-Goog-Hash", ""))
    crc32c = int.from_bytes(base64.b64decode(checksum[1]), "big") if checksum else None
    is_gzipped = headers.get("Content-Encoding", "") == "gzip"
    return Piece(b"", int(total), int(headers.get("X-Goog-Generation", 0)), crc32c, is_gzipped)


def _receive(response: Any, data: bytearray, length: int) -> None:
    """Reads until `data` is `length` long. A server that drips is never silent, so the whole answer has a limit too."""
    deadline = time.monotonic() + gcs_connection.PATIENCE.answer_s
    while len(data) < length:
        received = response.raw.read1(min(_BUFFER, length - len(data)), decode_content=False)
        if not received:
            raise ConnectionError("the connection was cut in the middle of an answer")
        data += received
        if len(data) < length and time.monotonic() > deadline:
            raise TimeoutError(f"the answer took longer than {gcs_connection.PATIENCE.answer_s:g} s")

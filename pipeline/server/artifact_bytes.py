"""Files of tasks on their way to a browser: typed by a list, never run, in pieces."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

# A file of a task is foreign text: no script, no request to anywhere, its own origin.
POLICY = "sandbox; default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".json": "application/json",
} | dict.fromkeys((".txt", ".log", ".csv", ".tsv", ".md", ".yaml", ".yml", ".toml"), "text/plain; charset=utf-8")
UNKNOWN = "application/octet-stream"
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
_CHUNK_BYTES = 1 << 18
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$")


def ending(name: str) -> str:
    """`.png` for `a/B.PNG`."""
    return PurePosixPath(name).suffix.lower()


def headers_of(name: str) -> dict[str, str]:
    """The headers of a file: what is not on the list is offered for saving, never shown."""
    kind = MEDIA.get(ending(name), UNKNOWN)
    disposition = "attachment" if kind == UNKNOWN else "inline"
    return {
        "content-type": kind,
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "content-disposition": f"{disposition}; filename*=UTF-8''{quote(PurePosixPath(name).name, safe='')}",
        "cache-control": "private, max-age=60",
        "accept-ranges": "bytes",
    }


def send(request: Request, stream: BinaryIO, size: int, name: str) -> Response:
    """A file in pieces, or the part of it that was asked for; closes the stream."""
    headers = headers_of(name)
    part = _part(request.headers.get("range", ""), size)
    first, last = part or (0, size - 1)
    if part and first > last:
        stream.close()
        return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
    headers["content-length"] = str(last - first + 1)
    if part:
        headers["content-range"] = f"bytes {first}-{last}/{size}"
    return StreamingResponse(_pieces(stream, first, last + 1 - first), 206 if part else 200, headers)


def _part(text: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a `Range` header; None, which means all of the file, where it cannot be read."""
    found = _RANGE.match(text.strip())
    if not found or found.groups() == ("", ""):
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size - 1
    return int(found[1]), min(int(found[2] or size - 1), size - 1)


def _pieces(stream: BinaryIO, first: int, left: int) -> Iterator[bytes]:
    with stream:
        stream.seek(first)
        while left > 0 and (piece := stream.read(min(_CHUNK_BYTES, left))):
            left -= len(piece)
            yield piece

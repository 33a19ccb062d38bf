"""Files by http(s): one attempt at a time, gone on with where the last one broke off, checked against size and MD5.

A cut download stays as a part beside a note of the server's validator, and the next attempt asks for the rest with
`Range` and `If-Range`, so that parts of two versions of a file are never put together (RFC 9110, 13.1.5 and 14.2).
"""

import hashlib
import math
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx

from components.artifacts import storage
from components.errors import DataError, Unreachable
from components.images import TAG

_TRANSIENT = (408, 425, 429)  # and all of 500 and above
ATTEMPTS = 6
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 120.0  # of `local_copy`, also where a server asks for more


class Gone(DataError):
    """The file cannot be had, however often one asks."""


class Later(Unreachable):
    """This attempt failed; another may not. `pause_s`: how long the server asks everybody to wait, else 0."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


@dataclass(frozen=True)
class Wanted:
    """A file to be had.

    Attributes:
        url: its address.
        size: bytes that it must have, -1 unknown.
        md5: hex digits that it must have, empty if unknown.
        largest: bytes it may have where the size is unknown; 0 for any number.
    """

    url: str
    size: int = -1
    md5: str = ""
    largest: int = 0


def client(silence_s: float = 60.0, connections: int = 4) -> httpx.Client:
    """A client for many threads: follows redirects, says who it is, waits `silence_s` for the next byte."""
    return httpx.Client(
        follow_redirects=True,
        max_redirects=5,
        timeout=httpx.Timeout(silence_s, connect=min(10.0, silence_s), pool=None),
        limits=httpx.Limits(max_connections=connections),
        headers={"User-Agent": f"seamline/{TAG}", "Accept-Encoding": "identity"},
    )


def attempt(asking: httpx.Client, wanted: Wanted, part: Path, longest_s: float = 600.0) -> None:
    """Tries once to get a file; when it returns, `part` is whole and as it must be.

    Args:
        asking: from `client`.
        wanted: the file.
        part: local path of the download; what an attempt before has left there is gone on with.
        longest_s: after so long the attempt ends; what has come by then is kept.

    Raises:
        Gone: it cannot be had, or is not as it must be.
        Later: no good answer; try again.
        OSError: the disk is full or takes no such file.
    """
    done = _usable(wanted, part)
    try:
        if done != wanted.size or not part.exists():
            _ask(asking, wanted, part, done, time.monotonic() + longest_s)
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects, UnicodeError) as error:
        raise Gone(f"cannot be asked for: {type(error).__name__} {error}") from error
    except httpx.TransportError as error:
        raise Later(f"{type(error).__name__}: {error or 'no answer'}") from error
    _check(wanted, part, resumed=done > 0)
    _validator(part).unlink(missing_ok=True)


def difference(wanted: Wanted, size: int, md5: str) -> str:
    """What is wrong with a file of so many bytes and this MD5 (hex digits); empty if nothing is."""
    if -1 < wanted.size != size:
        return f"wrong size: {size} bytes, not {wanted.size} as published"
    if wanted.md5 and md5 != wanted.md5:
        return f"wrong MD5: {md5}, not {wanted.md5} as published"
    if wanted.size < 0 < wanted.largest < size:
        return f"too large: {size} bytes, more than {wanted.largest}"
    return ""


def is_web(uri: str) -> bool:
    """True for http and https."""
    return uri.startswith(("http://", "https://"))


def address(uri: str, source: str) -> str:
    """An address as it is, or, where it is relative, below `source`."""
    return storage.join(source, uri) if source and not uri.startswith("/") and "://" not in uri else uri


def local_copy(
    uri: str, folder: Path, sleep: Callable[[float], None] = time.sleep, *, attempts: int = ATTEMPTS, md5: str = ""
) -> Path:
    """A local path of a file on disk, gs:// or the web, the latter two downloaded into `folder`.

    Args:
        uri: of the file.
        folder: for downloads.
        sleep: waits some seconds.
        attempts: in a row that may bring nothing.
        md5: hex digits that a file from the web must have, empty if unknown.

    Raises:
        DataError: there is no such file. Unreachable: several attempts in a row brought nothing.
    """
    if not is_web(uri):
        return storage.local_copy(uri, folder)
    folder.mkdir(parents=True, exist_ok=True)
    target, failed = folder / (Path(urlsplit(uri).path).name or "index"), 0
    with client() as asking:
        while not target.exists():
            part, before = folder / f"{target.name}.part", _size(folder / f"{target.name}.part")
            try:
                attempt(asking, Wanted(uri, md5=md5), part)
                part.rename(target)
            except Gone as error:
                raise DataError(f"{uri}: {error}; check the address") from error
            except Later as error:
                failed = 0 if _size(part) > before else failed + 1
                if failed == attempts:
                    raise Unreachable(f"{uri}: {error}, {failed} times in a row; try again later") from error
                sleep(max(min(error.pause_s, _LONGEST_PAUSE_S), pause_s(failed)))
    return target


def pause_s(attempts: int, longest_s: float = 60.0) -> float:
    """A random pause before another attempt, of a mean that doubles: clients that failed together come back apart."""
    return random.uniform(0, min(longest_s, 2 * _FIRST_PAUSE_S * 2**attempts))


def _usable(wanted: Wanted, part: Path) -> int:
    """Bytes of a part that can be gone on with. Without validator and MD5 nobody could tell a wrong sequel."""
    done = _size(part)
    known = wanted.md5 or _validator(part).is_file()
    if done and (not known or -1 < wanted.size < done):
        part.unlink()
        done = 0
    return done


def _ask(asking: httpx.Client, wanted: Wanted, part: Path, done: int, until: float) -> None:
    headers = {"Range": f"bytes={done}-"} if done else {}
    if done and _validator(part).is_file():
        headers["If-Range"] = _validator(part).read_text(encoding="utf-8")
    with asking.stream("GET", wanted.url, headers=headers) as answer:
        _refuse(answer, part, done)
        start = done if answer.status_code == 206 else 0
        if start and not _is_the_rest(answer, start):
            part.unlink()
            raise Later("another range than asked for")
        _refuse_length(answer, wanted, start)
        if start == 0:
            part.unlink(missing_ok=True)  # first, so that no old bytes ever stand beside a new validator
            _note_validator(answer, part)
        _receive(answer, wanted, part, start, until)


def _refuse(answer: httpx.Response, part: Path, done: int) -> None:
    code = answer.status_code
    if code == 416:
        part.unlink(missing_ok=True)
        raise Later("the rest cannot be asked for")
    if code >= 500 or code in _TRANSIENT:
        raise Later(f"HTTP {code}", _asked_pause_s(answer))
    if code not in ((200, 206) if done else (200,)):  # nobody asked for a part then
        raise Gone(f"HTTP {code}")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise Gone(f"sent as {answer.headers['Content-Encoding']}, though not asked for")


def _is_the_rest(answer: httpx.Response, start: int) -> bool:
    """Whether a part begins where the last one broke off and goes to the end: a server may send less."""
    found = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", answer.headers.get("Content-Range", ""))
    return found is not None and int(found[1]) == start and int(found[2]) + 1 == int(found[3])


def _refuse_length(answer: httpx.Response, wanted: Wanted, start: int) -> None:
    """Says no before the download where the answer's length says enough."""
    length = answer.headers.get("Content-Length", "")
    problem = difference(wanted, start + int(length), wanted.md5) if length.isdigit() else ""
    if problem:
        raise Gone(problem)


def _receive(answer: httpx.Response, wanted: Wanted, part: Path, start: int, until: float) -> None:
    size, most = start, wanted.size if wanted.size >= 0 else wanted.largest or math.inf
    with part.open("ab" if start else "wb", buffering=0) as file:  # what has come is on disk, even if we are killed
        for data in answer.iter_raw():
            size += len(data)
            if size > most:
                raise Gone(f"too large: more than {most} bytes")
            _write(file, data)
            if time.monotonic() > until:
                raise Later("too slow")


def _write(file: BinaryIO, data: bytes) -> None:
    """Writes all of it: a disk that gets full takes the first bytes only, and says why when it is given the others."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _check(wanted: Wanted, part: Path, resumed: bool) -> None:
    """A resumed file that is wrong may be two halves of two files: it gets another chance."""
    with part.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest() if wanted.md5 else ""
    if problem := difference(wanted, _size(part), md5):
        part.unlink()
        raise (Later if resumed else Gone)(problem)


def _note_validator(answer: httpx.Response, part: Path) -> None:
    """A strong ETag, or else the time of change; without either nothing can be gone on with safely.

    Headers are sent in ASCII, so that a validator with other letters could not be sent back.
    """
    etag = answer.headers.get("ETag", "")
    validator = etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")
    if validator and validator.isascii():
        _validator(part).write_text(validator, encoding="utf-8")
    else:
        _validator(part).unlink(missing_ok=True)


def _asked_pause_s(answer: httpx.Response) -> float:
    """Seconds of a `Retry-After`, which names seconds or a time; 0 where it names neither."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _validator(part: Path) -> Path:
    return part.with_name(f"{part.name}.validator")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0

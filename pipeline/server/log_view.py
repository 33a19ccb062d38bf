"""Logs of any size as people read them: by pages of whole lines, no colour codes, the machine's lines told apart."""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE_LINES = 200
MOST_PAGE_BYTES = 256 << 10
MOST_LINE_CHARACTERS = 4000
MOST_FOUND = 200
_CHUNK_BYTES = 4 << 20
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
# What explains nothing to people: messages for the engine, and what TensorFlow says about a machine without GPU.
MACHINE_LINE = re.compile(r"::|[IWE]\d{4} [\d:.]+ +\d+ \S+:\d+\] |WARNING: All log messages before absl::InitializeLog")


@dataclass(frozen=True)
class Line:
    """One line. `offset`: where it begins, in bytes; `machine`: it is meant for programs."""

    offset: int
    text: str
    machine: bool


@dataclass(frozen=True)
class Page:
    """Whole lines of a log.

    Attributes:
        lines: first to last.
        start, end: bytes that they span.
        size: bytes of the log when it was looked at.
        unfinished: the last line has no end yet.
    """

    lines: Sequence[Line]
    start: int = 0
    end: int = 0
    size: int = 0
    unfinished: bool = False

    @property
    def resume(self) -> int:
        """Where to go on reading while the log grows: at the end, or at the line that is being written."""
        return self.lines[-1].offset if self.lines and self.unfinished else self.end


@dataclass(frozen=True)
class Found:
    """Lines that hold a text. `complete`: the whole log was looked through."""

    lines: Sequence[Line]
    complete: bool


def last(path: Path, before: int | None = None) -> Page:
    """The last lines before an offset; of the whole log without one. A log that is no regular file is empty."""
    found, end, size, unfinished = _last_lines(path, before)
    lines = found[-PAGE_LINES:]
    return Page(lines, lines[0].offset if lines else end, end, size, unfinished)


def ending(path: Path, most: int) -> list[str]:
    """The last lines that are meant for people; a training that reports every step has said them long before its end.

    Empty when the log is gone.
    """
    return telling(_last_lines(path)[0], most)


def _last_lines(path: Path, before: int | None = None) -> tuple[list[Line], int, int, bool]:
    """Whole lines before an offset, where they end, the log's size, and whether the last one has no end yet."""
    descriptor = _open(path)
    if descriptor is None:
        return [], 0, 0, False
    with os.fdopen(descriptor, "rb") as log:
        size = os.fstat(descriptor).st_size
        end = size if before is None else max(0, min(before, size))
        begin = max(0, end - MOST_PAGE_BYTES)
        log.seek(begin)
        piece = log.read(end - begin)
    lines = _lines(piece, begin)
    if begin and len(lines) > 1:
        lines = lines[1:]  # most likely only the end of a line
    return lines, end, size, not piece.endswith(b"\n")


def following(path: Path, start: int) -> Page:
    """The lines from an offset on."""
    descriptor = _open(path)
    if descriptor is None:
        return Page(())
    with os.fdopen(descriptor, "rb") as log:
        size = os.fstat(descriptor).st_size
        start = max(0, min(start, size))
        log.seek(start)
        piece = log.read(MOST_PAGE_BYTES)
    lines = _lines(piece, start)
    if start + len(piece) < size and len(lines) > 1:
        lines = lines[:-1]
    end = start + len(piece) if len(lines) <= PAGE_LINES else lines[PAGE_LINES].offset
    return Page(lines[:PAGE_LINES], start, end, size)


def search(path: Path, text: str, most_bytes: int = 4 << 30) -> Found:
    """The first lines that hold a text, in whichever case; machine lines too."""
    descriptor = _open(path)
    wanted = text.lower().encode()
    found: list[Line] = []
    if descriptor is None or not wanted:
        return Found((), True)
    with os.fdopen(descriptor, "rb") as log:
        offset, rest = 0, b""
        while offset < most_bytes and (chunk := log.read(_CHUNK_BYTES)):
            block = rest + chunk
            end = block.rfind(b"\n") + 1 or len(block)
            if wanted in block[:end].lower():
                found += [line for line in _lines(block[:end], offset) if text.lower() in line.text.lower()]
            if len(found) > MOST_FOUND:
                return Found(found[:MOST_FOUND], False)
            offset, rest = offset + end, block[end:]
        found += [line for line in _lines(rest, offset) if text.lower() in line.text.lower()]
        return Found(found[:MOST_FOUND], not log.read(1) and len(found) <= MOST_FOUND)


def telling(lines: Iterable[Line], most: int) -> list[str]:
    """The last lines that are meant for people."""
    return [line.text for line in lines if not line.machine and line.text.strip()][-most:]


def clean(text: str) -> str:
    """A line without colour codes and control characters; of a line that overwrites itself the last state."""
    shown = _ESCAPES.sub("", text.rstrip("\r").rpartition("\r")[2])
    return shown if len(shown) <= MOST_LINE_CHARACTERS else shown[:MOST_LINE_CHARACTERS] + "…"


def _lines(piece: bytes, offset: int) -> list[Line]:
    found: list[Line] = []
    for raw in _split(piece):
        text = clean(raw.decode("utf-8", "replace").rstrip("\n"))
        found.append(Line(offset, text, bool(MACHINE_LINE.match(text))))
        offset += len(raw)
    return found


def _split(piece: bytes) -> list[bytes]:
    """At line feeds only: a carriage return is part of a line that overwrites itself."""
    parts = piece.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _open(path: Path) -> int | None:
    """A log is a regular file that the engine made: what a task has put in its place is not read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None

"""Reads rounds in the FashionAI contest's own layout.

`Annotations/*.csv` holds the labelled rows `Images/<attribute>/<name>.jpg,<attribute>,<label>` without a header, in
three columns or (released answers) four; an empty label makes the picture part of the pool. `Tests/question.csv` holds
the questions, its third column empty. A `Pool/` folder holds unlabelled pictures. A round may be several such folders
side by side (`base/`, `web/`, `rank/`). Answer files are never read. Source: the contest's pages and released
files.
"""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from components.artifacts import storage
from components.errors import DataError
from components.ingest import attributes, labels
from components.ingest.rows import Reading, Rejected, Round, Row, unread

_CSV = re.compile(
    r"(?:(?P<base>[^/]+)/)?(?:(?P<labels>Annotations/[^/]+\.csv)|(?P<question>Tests/question\.csv))", re.I
)
_TABLES = re.compile(r"(?:[^/]+/)?(?:Annotations|Tests)(?:/.*)?", re.I)
_POOL = re.compile(r"(?:[^/]+/)?Pool/", re.I)


class _Line(NamedTuple):
    round: Round
    file: str
    number: int
    base: str
    is_question: bool
    fields: list[str]

    @property
    def attribute(self) -> str:
        return self.fields[1] if len(self.fields) > 1 else ""

    @property
    def label(self) -> str:
        return "" if self.is_question or len(self.fields) < 3 else self.fields[2]

    @property
    def kind(self) -> str:
        return "test" if self.is_question else "labelled" if self.label else "pool"


def recognises(round: Round) -> bool:
    """True if the round's folder has a label or question file where the contest puts it, be it one not to be read."""
    return any(_CSV.fullmatch(name) for name in (*round.files, *(item.name for item in round.unread)))


def read(rounds: list[Round], structs: list[Any]) -> Reading:
    """Reads and checks every row of every round.

    Args:
        rounds: oldest first.
        structs: the recipe's attributes, see `attributes.settle`.

    Raises:
        DataError: no labelled row at all, or none for an attribute that was asked for; or labels or questions lie where
            they cannot be read, so that nobody knows how many.
    """
    notes: list[str] = []
    lines = [line for round in rounds for line in _lines(round, notes)]
    reading = Reading(attributes.settle(structs, _lengths(lines)), notes=notes)
    clerk = _Clerk(reading)
    for round in rounds:
        here = [line for line in lines if line.round is round]
        for line in here:
            if not line.is_question:
                clerk.take(line)
        reading.rows.extend(_pool(round, reading))
        named = {inside(line.base, line.fields[0]) for line in here}  # these have the reason in their own row
        reading.rejected.extend(refused for refused in unread(round, "") if refused.image_id not in named)
        for line in here:
            if line.is_question:
                clerk.take(line)
    return reading


def _lines(round: Round, notes: list[str]) -> Iterator[_Line]:
    for name, reason in round.unread:
        if _TABLES.fullmatch(name) or name in round.folders:
            raise DataError(f"{round.name}/{name} cannot be read: {reason}; labels and questions lie there: mend it")
    for name in round.files:
        match = _CSV.fullmatch(name)
        if not match:
            continue
        text, encoding = decoded(storage.read_bytes(storage.join(round.uri, name)))
        if encoding != "UTF-8":
            notes.append(f"{round.name}/{name} is {encoding}; read as such")
        file, base, is_question = f"{round.name}/{name}", match["base"] or "", bool(match["question"])
        for number, content in enumerate(re.split(r"\r\n|\r|\n", text), 1):
            fields = [_unquoted(field) for field in content.split(",")]
            if any(fields):
                yield _Line(round, file, number, base, is_question, fields)


def decoded(data: bytes) -> tuple[str, str]:
    """A CSV's text and the name of its encoding: UTF-8, UTF-8 with BOM, UTF-16 (with BOM) or Windows-1252."""
    if data.startswith(b"\xef\xbb\xbf"):
        return data.decode("utf-8-sig", errors="replace"), "UTF-8 with BOM"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), "UTF-16"
    try:
        return data.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "Windows-1252"


def _unquoted(field: str) -> str:
    field = attributes.tidy(field)
    return field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else field


def _lengths(lines: list[_Line]) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for line in lines:
        if line.kind == "labelled" and line.attribute:
            found[line.attribute][len(line.label)] += 1
    return found


class _Clerk:
    """Takes one line after the other into the reading: as a row, as a refused row, or as one to ignore."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.seen: set[tuple[Any, ...]] = set()
        names = set(reading.attributes)
        # With attributes of its own, the data's other names are nobody's typing error.
        self.others = attributes.known() if names <= set(attributes.known()) else None

    def take(self, line: _Line) -> None:
        path = inside(line.base, line.fields[0])
        if line.attribute not in self.reading.attributes and self._is_other(line.attribute):
            self.reading.ignored[line.attribute] += 1
            return
        reason = self._fault(line, path)
        if reason:
            self.reading.rejected.append(Rejected(line.file, line.number, line.fields[0], line.attribute, reason))
            return
        row = Row(
            line.file, line.number, line.round.number, line.kind, line.fields[0], line.attribute, line.label, path
        )
        self.reading.rows.append(row)

    def _is_other(self, attribute: str) -> bool:
        return bool(attribute) and (self.others is None or attribute in self.others)

    def _fault(self, line: _Line, path: str) -> str:
        fewest = 2 if line.is_question else 3
        if not fewest <= len(line.fields) <= 4:
            return f"wrong number of columns: {len(line.fields)}; expected 3 or 4"
        if not line.fields[0]:
            return "empty name: the first column names the picture"
        if line.attribute not in self.reading.attributes:
            return f"unknown attribute: {line.attribute!r}"
        if line.is_question:
            return self._repeated(
                ("question", line.fields[0], line.attribute), "repeated question: the first one is answered"
            )
        if not path:
            return "path leaves the round's folder: give one inside it"
        wrong = labels.fault(line.label, self.reading.attributes[line.attribute]) if line.label else ""
        if wrong:
            return wrong
        if absent := line.round.absence(path):
            return absent
        # A repeat with another label is no repeat but a conflict, and is settled as one.
        return self._repeated(
            (line.round.number, path, line.attribute, line.label), "duplicate row: the first one counts"
        )

    def _repeated(self, key: tuple[Any, ...], reason: str) -> str:
        if key in self.seen:
            return reason
        self.seen.add(key)
        return ""


def inside(base: str, name: str) -> str:
    """The picture's path relative to the round's folder, or "" where it leaves that folder."""
    name = name.replace("\\", "/")
    path = posixpath.normpath(posixpath.join(base, name))
    is_outside = (
        name.startswith("/") or path in ("", ".", "..") or path.startswith("../") or re.match(r"[A-Za-z]:", name)
    )
    return "" if is_outside else path


def _pool(round: Round, reading: Reading) -> Iterator[Row]:
    """Unlabelled pictures: of the attribute that a folder below `Pool/` is named after, else of every attribute."""
    for name in round.files:
        if not _POOL.match(name):
            continue
        folders = set(name.split("/")[1:-1])
        own = [a for a in reading.attributes if a in folders]
        others = [a for a in attributes.known() if a in folders]
        if others and not own:
            reading.ignored[others[0]] += 1
            continue
        for attribute in own or reading.attributes:
            yield Row(f"{round.name}/{name}", 0, round.number, "pool", name, attribute, "", name)

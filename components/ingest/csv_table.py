"""Reads rounds with a `labels.csv` at their root: a line a picture, a column an attribute.

    image,colour,kind,price,split
    pictures/1.jpg,red|white,shirt,19.90,train
    pictures/2.jpg,-,shirt|blouse?,7.50,val

`image` is the path below the round's folder. A cell holds the classes of the picture joined with `|`; a class that
might be there ends with `?`; `-` says that none is; an empty cell makes the picture part of the attribute's pool. For a
regression it holds a number. The column `split` is optional: `train` (or nothing), `val` (held out, never learnt from),
`test` (a question) or `pool`, or what folders may be called instead.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from components.artifacts import storage
from components.errors import DataError
from components.ingest import attributes, labels
from components.ingest.attributes import Attribute
from components.ingest.fashionai import decoded, inside
from components.ingest.rows import HELD_OUT, TRAIN, UNLABELLED, Reading, Rejected, Round, Row
from components.knobs import nearest
from components.vision import tasks

FILE = "labels.csv"
_IMAGE, _SPLIT = "image", "split"
_KINDS = dict.fromkeys(("", *TRAIN, *HELD_OUT), "labelled") | UNLABELLED


class _Line(NamedTuple):
    """One picture: `image` as the table names it, `cells` column to tidy text, `split` in small letters."""

    round: Round
    number: int
    image: str
    split: str
    cells: dict[str, str]

    @property
    def file(self) -> str:
        return f"{self.round.name}/{FILE}"


def recognises(round: Round) -> bool:
    """True if the round has its table where this layout puts it."""
    return FILE in round.files


def read(rounds: list[Round], structs: list[Any]) -> Reading:
    """Reads and checks every cell of every round.

    Args:
        rounds: oldest first.
        structs: the recipe's attributes, each a column; empty means all columns. Classes that it does not give are
            those that occur, in alphabetical order.

    Raises:
        DataError: no table, one without the column `image`, or an attribute that is no column.
    """
    notes: list[str] = []
    lines = [line for round in rounds for line in _lines(round, notes)]
    wanted = attributes.asked(structs)
    columns = list(dict.fromkeys(name for line in lines for name in line.cells))
    for name in wanted:
        if name not in columns:
            has = ", ".join(columns) or "none"
            raise DataError(f"attribute {name!r} is no column of {FILE}{nearest(name, columns)}; it has: {has}")
    names = list(wanted) or columns
    reading = Reading({name: _attribute(name, wanted.get(name), lines) for name in names}, notes=notes)
    reading.ignored.update(name for line in lines for name in line.cells if name not in names and line.cells[name])
    seen: set[tuple[object, ...]] = set()
    for line in lines:
        for attribute in reading.attributes.values():
            _take(line, attribute, reading, seen)
    return reading


def _lines(round: Round, notes: list[str]) -> Iterator[_Line]:
    if not recognises(round):
        raise DataError(f"round {round.name!r} has no {FILE}; all rounds of a run have the same layout")
    text, encoding = decoded(storage.read_bytes(storage.join(round.uri, FILE)))
    if encoding != "UTF-8":
        notes.append(f"{round.name}/{FILE} is {encoding}; read as such")
    records = _records(text, f"{round.name}/{FILE}")
    head = [attributes.tidy(name) for name in next(records, (1, []))[1]]
    if _IMAGE not in head or len(set(head)) < len(head) or "" in head:
        raise DataError(f"{round.name}/{FILE} begins with {head}; expected different names, one of them {_IMAGE!r}")
    for number, fields in records:
        if any(field.strip() for field in fields):
            written = dict(zip(head, [*fields, *[""] * len(head)], strict=False))
            image = written.pop(_IMAGE).strip()  # names of files may hold two spaces in a row
            cells = {name: attributes.class_name(field) for name, field in written.items()}
            yield _Line(round, number, image, cells.pop(_SPLIT, "").lower(), cells)


def _records(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their first line: a quoted cell may go over several.

    Raises:
        DataError: a quote that is never closed, or one that ends within a cell: all behind it might be misread.
    """
    table, number = csv.reader(io.StringIO(text, newline=""), strict=True), 1
    try:
        for fields in table:
            yield number, fields
            number = table.line_num + 1
    except csv.Error as error:
        why = "a quote is not closed" if "end of data" in str(error) else str(error)
        raise DataError(
            f"{file} cannot be read from line {number} on: {why}; a cell with quotes or line breaks stands in "
            'quotes as a whole, and each quote in it is doubled: "5"" wide"'
        ) from error


def _attribute(name: str, struct: dict[str, Any] | None, lines: list[_Line]) -> Attribute:
    parts = [_parts(line.cells.get(name, "")) for line in lines]
    found = sorted({part.rstrip("?").rstrip() for cell in parts for part in cell})
    several = any(len([p for p in cell if not p.endswith("?")]) != 1 for cell in parts if cell) or any(
        line.cells.get(name) == "-" for line in lines
    )
    # Nobody has said what a column is that the recipe does not name: its cells tell.
    return attributes.with_task(name, {"task": "auto"} if struct is None else struct, found, several=several)


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split("|") if part.strip() not in ("", "-")]


def _take(line: _Line, attribute: Attribute, reading: Reading, seen: set[tuple[object, ...]]) -> None:
    cell = line.cells.get(attribute.name, "")
    kind = _KINDS.get(line.split, "")
    kind = "pool" if kind == "labelled" and not cell else kind
    path = inside("", line.image)
    label, fault = _label(cell, attribute) if kind == "labelled" else ("", "")
    fault = _misplaced(line, kind, path) or fault or _repeated(line, kind, path, attribute, label, seen)
    if fault:
        reading.rejected.append(Rejected(line.file, line.number, line.image, attribute.name, fault))
        return
    held_out = kind == "labelled" and line.split in HELD_OUT
    reading.rows.append(
        Row(line.file, line.number, line.round.number, kind, line.image, attribute.name, label, path, held_out)
    )


def _misplaced(line: _Line, kind: str, path: str) -> str:
    if not kind:
        return f"unknown split: {line.split!r}; expected train, val, test or pool"
    if not path:
        return "path leaves the round's folder: give one inside it"
    return "" if kind == "test" else line.round.absence(path)


def _repeated(
    line: _Line, kind: str, path: str, attribute: Attribute, label: str, seen: set[tuple[object, ...]]
) -> str:
    # A repeat with another label is no repeat but a conflict, and what val holds out must not count as train's copy of
    # it; a question can be answered only once, whatever its round.
    about = (line.round.number, path, attribute.name, label, line.split in HELD_OUT)
    key = (kind, line.image, attribute.name) if kind == "test" else about
    if key not in seen:
        seen.add(key)
        return ""
    return "repeated question: the first one is answered" if kind == "test" else "duplicate row: the first one counts"


def _label(cell: str, attribute: Attribute) -> tuple[str, str]:
    """The label string of a cell, and what is wrong with it, or ""."""
    if attribute.task == tasks.REGRESSION:
        return _number(cell)
    letters = ["n"] * len(attribute.classes)
    for part in _parts(cell):
        name = part.rstrip("?").rstrip()
        if name not in attribute.classes:
            return "", f"unknown class: {name!r}{nearest(name, attribute.classes)}"
        letters[attribute.classes.index(name)] = "m" if part.endswith("?") else "y"
    label = "".join(letters)
    return label, labels.fault(label, attribute)


def _number(cell: str) -> tuple[str, str]:
    if not labels.is_number(cell):
        return "", f"no number: {cell!r}; a regression learns numbers"
    return f"{float(cell):.12g}", ""

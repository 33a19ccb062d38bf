"""Questions, answers and submissions: the contest's files without header.

* question: `name,attribute,` (the third column is empty),
* answer: `name,attribute,label` (released files carry a fourth column, which is ignored),
* submission: `name,attribute,p0;p1;...;pK-1`, in question order.

The key of a row is (name, attribute). Every error names the row, counted from 1 as an editor counts lines.
"""

import csv
import gzip
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.artifacts import storage
from components.errors import DataError

DECIMALS = 8  # four make many ties: up to 63 % of an attribute's rows share their confidence in public files
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One row of any of the three files.

    Attributes:
        number: counted from 1, blank lines counted too.
        image_id: the name as the file gives it.
        attribute: for instance `sleeve_length_labels`.
        value: the third column: "", a label or probabilities joined with `;`.
    """

    number: int
    image_id: str
    attribute: str
    value: str

    @property
    def key(self) -> tuple[str, str]:
        """What joins question, answer and submission."""
        return self.image_id, self.attribute


def read_rows(uri: str | Path, *, columns: Sequence[int] = (3, 4)) -> list[Row]:
    """Reads a question, answer or submission file: plain or gzip, UTF-8 with or without BOM, LF or CRLF.

    Raises:
        DataError: not such a file, or a row with another number of columns or an empty name; names the row.
    """
    name = Path(uri).name
    try:
        data = storage.read_bytes(str(uri))
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise DataError(f"{name} cannot be read ({error}); expected UTF-8 CSV, plain or gzip") from error
    rows = []
    for number, fields in _numbered(text, name):
        if not fields:
            continue
        if len(fields) not in columns or not fields[0].strip() or not fields[1].strip():
            raise DataError(f"{name} row {number}: {','.join(fields)[:80]!r}; expected `name,attribute,value`")
        rows.append(Row(number, fields[0].strip(), fields[1].strip(), fields[2].strip()))
    return rows


def _numbered(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for fields in reader:
            yield reader.line_num, fields
    except csv.Error as error:
        raise DataError(f"{name} row {reader.line_num}: {error}; expected `name,attribute,value`") from error


def read_questions(uri: str | Path) -> list[tuple[str, str]]:
    """(name, attribute) of every question, in file order. Raises DataError for a malformed or repeated row."""
    rows = read_rows(uri)
    refuse_repeats(rows, Path(uri).name)
    return [row.key for row in rows]


def refuse_repeats(rows: Sequence[Row], name: str) -> None:
    """Raises DataError naming the first row whose (name, attribute) stood before, and where."""
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        first = seen.setdefault(row.key, row.number)
        if first != row.number:
            raise DataError(f"{name} row {row.number}: {row.image_id} ({row.attribute}) repeats row {first}; keep one")


def numbers(row: Row, classes: int, name: str) -> list[float]:
    """The K probabilities of a submission row.

    Raises:
        DataError: another number of them, something that is no number, NaN or infinite; names the row.
    """
    parts = row.value.split(";")
    if len(parts) != classes:
        raise DataError(f"{name} row {row.number}: {len(parts)} probabilities; expected {classes} for {row.attribute}")
    try:
        values = [float(part) for part in parts]
    except ValueError as error:
        raise DataError(f"{name} row {row.number}: {error}; expected {classes} numbers joined with ;") from error
    if not all(map(math.isfinite, values)):
        raise DataError(f"{name} row {row.number}: {row.value[:80]!r} holds a number that is not finite")
    return values


def write_submission(
    questions: Sequence[tuple[str, str]], answers: Mapping[str, tuple[Sequence[str], Floats]], path: Path
) -> None:
    """Writes a submission in question order, 8 decimals.

    Args:
        questions: (name, attribute), see `read_questions`.
        answers: attribute to n names and their (n, K) float64 probabilities. Names that are no question are left out.
        path: the file to write.

    Raises:
        DataError: a question without answer, a name answered twice, a number that is not finite.
    """
    lines = {}
    for attribute, (names, probabilities) in answers.items():
        for name, row in zip(names, np.asarray(probabilities, dtype=np.float64), strict=True):
            if (name, attribute) in lines:
                raise DataError(f"{name} ({attribute}) is answered twice; expected one row for each question")
            if not np.isfinite(row).all():
                raise DataError(f"{name} ({attribute}) is answered with a number that is not finite; look at its model")
            lines[name, attribute] = ";".join(f"{p:.{DECIMALS}f}" for p in row)
    missing = [key for key in questions if key not in lines]
    if missing:
        image_id, attribute = missing[0]
        many = f"{len(missing)} of {len(questions)} questions have no answer"
        raise DataError(f"{many}, the first is {image_id} ({attribute}); predict all test pictures again")
    with open(path, "w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows((*key, lines[key]) for key in questions)

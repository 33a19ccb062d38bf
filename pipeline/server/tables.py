"""Pages of tables that tasks left behind: CSV, Parquet and JSON, read only as far as they are shown."""

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.errors import PipelineError

PAGE_ROWS = 50
MOST_COLUMNS = 60
MOST_CHARACTERS = 300  # of a cell
MOST_SKIPPED_BYTES = 64 << 20  # of a CSV file: rows further in are for another tool
MOST_LINE_CHARACTERS = 1 << 20
MOST_JSON_BYTES = 2 << 20
MOST_GROUP_BYTES = 256 << 20  # of a Parquet row group, unpacked


@dataclass(frozen=True)
class Sheet:
    """One page of a table.

    Attributes:
        columns: the names.
        rows: the cells as text.
        numeric: which columns hold numbers.
        first: number of the first row shown, from 0.
        total: how many rows there are, None where nobody has counted.
        more: whether there is a next page.
        left_out: columns that are not shown.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    first: int
    total: int | None
    more: bool
    left_out: int = 0


def read(stream: BinaryIO, size: int, ending: str, page: int) -> Sheet | None:
    """One page of a table; None for a JSON file that is no list of objects.

    Args:
        stream: the file.
        size: its bytes.
        ending: `.csv`, `.tsv`, `.parquet` or `.json`.
        page: from 0.

    Raises:
        PipelineError: the file is no such table, or too large to be shown.
    """
    return _READERS[ending](stream, size, page * PAGE_ROWS)


def json_text(stream: BinaryIO, size: int) -> str:
    """A JSON file with indents; as it is where it is no JSON.

    Raises:
        PipelineError: too large to be shown.
    """
    text = _text(stream, size)
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _csv(delimiter: str) -> Callable[[BinaryIO, int, int], Sheet]:
    def read_page(stream: BinaryIO, size: int, first: int) -> Sheet:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        rows = csv.reader(_bounded(text), delimiter=delimiter)
        try:
            header = next(rows, [])
            for _ in itertools.islice(rows, first):
                pass
            found = list(itertools.islice(rows, PAGE_ROWS + 1))
        except csv.Error as error:
            raise PipelineError(f"this is no CSV that can be shown: {error}; save it instead") from error
        shown = found[:PAGE_ROWS]
        total = first + len(shown) if len(found) <= PAGE_ROWS else None
        return _sheet(header, shown, first, total, len(found) > PAGE_ROWS)

    return read_page


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    """Its lines; a line without end comes in pieces, which the reader then refuses as too long a field."""
    read_so_far = 0
    while line := text.readline(MOST_LINE_CHARACTERS):
        read_so_far += len(line)
        if read_so_far > MOST_SKIPPED_BYTES:
            raise PipelineError(f"only the first {MOST_SKIPPED_BYTES >> 20} MB of a table are shown; save the file")
        yield line


def _json(stream: BinaryIO, size: int, first: int) -> Sheet | None:
    try:
        body = json.loads(_text(stream, size))
    except (ValueError, RecursionError):
        return None
    if not (isinstance(body, list) and body and all(isinstance(row, dict) for row in body)):
        return None
    columns = list(dict.fromkeys(name for row in body for name in row))
    rows = [[row.get(name, "") for name in columns] for row in body[first : first + PAGE_ROWS]]
    return _sheet(columns, rows, first, len(body), first + PAGE_ROWS < len(body))


def _text(stream: BinaryIO, size: int) -> str:
    if size > MOST_JSON_BYTES:
        raise PipelineError(
            f"the file has {size:,} bytes; up to {MOST_JSON_BYTES >> 20} MB of JSON are shown, so save it"
        )
    return stream.read(MOST_JSON_BYTES).decode("utf-8", "replace")


def _parquet(stream: BinaryIO, size: int, first: int) -> Sheet:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(stream)
        names = file.schema_arrow.names
        rows = _parquet_rows(file, names[:MOST_COLUMNS], first)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        why = str(error).splitlines()[0][:200]
        raise PipelineError(f"this is no Parquet that can be shown: {why}; save it instead") from error
    total = file.metadata.num_rows
    cells = [[row[name] for name in names[:MOST_COLUMNS]] for row in rows]
    return _sheet(names, cells, first, total, first + PAGE_ROWS < total)


def _parquet_rows(file: Any, names: Sequence[str], first: int) -> list[Mapping[str, Any]]:
    """The rows of one page, out of only those row groups that they lie in."""
    found: list[Mapping[str, Any]] = []
    start = 0
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        end = start + group.num_rows
        wanted = PAGE_ROWS - len(found)
        if wanted > 0 and first + len(found) < end:
            if group.total_byte_size > MOST_GROUP_BYTES:
                raise ValueError(f"a row group unpacks to {group.total_byte_size >> 20:,} MB")
            table = file.read_row_group(number, columns=list(names))
            found += table.slice(first + len(found) - start, wanted).to_pylist()
        start = end
    return found


def _sheet(columns: Sequence[str], rows: Sequence[Sequence[Any]], first: int, total: int | None, more: bool) -> Sheet:
    names = [str(c)[:MOST_CHARACTERS] for c in columns[:MOST_COLUMNS]]
    cells = [[_cell(value) for value in row[:MOST_COLUMNS]] for row in rows]
    numeric = [all(_is_number(row[i]) for row in cells if i < len(row)) for i in range(len(names))]
    return Sheet(names, cells, numeric, first, total, more, max(0, len(columns) - MOST_COLUMNS))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    text = value if isinstance(value, str) else json.dumps(_rounded(value), ensure_ascii=False, default=str)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"


def _rounded(value: Any) -> Any:
    """Numbers inside lists as short as they are in cells."""
    if isinstance(value, list):
        return [_rounded(v) for v in value[:MOST_CHARACTERS]]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True


_READERS: Mapping[str, Callable[[BinaryIO, int, int], Sheet | None]] = {
    ".csv": _csv(","),
    ".tsv": _csv("\t"),
    ".parquet": _parquet,
    ".json": _json,
}
ENDINGS = tuple(_READERS)

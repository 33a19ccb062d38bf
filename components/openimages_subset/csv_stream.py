"""Reads CSV files of any length piece by piece: all columns as text, a few megabytes in memory at a time."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from components.errors import DataError

_PIECE = 4 << 20  # bytes parsed at a time; some ten pieces are in memory, and smaller ones cost more time


def pieces(path: Path, columns: Sequence[str], broken: Counter[str]) -> Iterator[pa.Table]:
    """The named columns of a file, piece after piece.

    Args:
        path: may end in .gz or .bz2.
        columns: that the header must name.
        broken: counts, under the file's name, the lines that are left out: with more or fewer fields than the header,
            or with bytes in a named column that are no UTF-8.

    Raises:
        DataError: no such columns, or no CSV.
    """

    def skip(_: csv.InvalidRow) -> str:
        broken[path.name] += 1
        return "skip"

    try:
        with (
            pa.input_stream(str(path), compression="detect") as file,
            csv.open_csv(
                file,
                read_options=csv.ReadOptions(block_size=_PIECE),
                # Titles of pictures may hold line breaks.
                parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
                convert_options=csv.ConvertOptions(
                    include_columns=list(columns),
                    column_types=dict.fromkeys(columns, pa.string()),
                    check_utf8=False,  # of one wrong byte the whole file would die; `_text` looks itself
                ),
            ) as reader,
        ):
            for batch in reader:
                piece = _text(pa.Table.from_batches([batch]))
                broken[path.name] += batch.num_rows - piece.num_rows
                yield piece
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk's fault, not the file's: a packed file that is damaged has no number
        what = str(error).strip("'\"").splitlines()[0]
        raise DataError(f"{path.name}: {what}; expected a CSV with the columns {', '.join(columns)}") from error


def _text(piece: pa.Table) -> pa.Table:
    """The rows that are UTF-8."""
    try:
        piece.validate(full=True)
    except pa.ArrowInvalid:
        columns = [column.cast(pa.binary()).to_pylist() for column in piece.columns]
        return piece.filter(pa.array([_is_text(b",".join(row)) for row in zip(*columns, strict=True)]))
    return piece


def _is_text(row: bytes) -> bool:
    try:
        row.decode()
    except UnicodeDecodeError:
        return False
    return True

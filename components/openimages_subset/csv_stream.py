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
        broken: counts the lines with more or fewer fields than the header, under the file's name.

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
                    include_columns=list(columns), column_types=dict.fromkeys(columns, pa.string())
                ),
            ) as reader,
        ):
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk's fault, not the file's: a packed file that is damaged has no number
        what = str(error).strip("'\"").splitlines()[0]
        raise DataError(f"{path.name}: {what}; expected a CSV with the columns {', '.join(columns)}") from error

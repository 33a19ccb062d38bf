"""One attribute of one picture in the course of being filled in, and how its rows are read out of references."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from components.artifacts import reference
from pipeline.console import traces
from pipeline.console.traces import Left, Traces


@dataclass(frozen=True)
class Sheet:
    """One attribute of the picture in the course of being filled in; `missing` collects what could not be read."""

    found: Traces
    attribute: str
    classes: Sequence[str]
    image_id: str
    letters: str
    kind: str
    missing: list[str]


def read_rows(sheet: Sheet, left: Left, name: str, columns: list[str]) -> list[dict[str, Any]]:
    """The picture's rows in a file of a reference; none, and a word about it, where the file is gone."""
    try:
        traces.refuse_bucket(left.where)
        path = reference.open_file(left.where, name)
        table = pq.read_table(path, columns=columns, filters=[("image_id", "==", sheet.image_id)])
    except traces.UNREADABLE as error:
        sheet.missing.append(f"what {left.key} made cannot be read: {first_line(error)}")
        return []
    return list(table.to_pylist())


def first_line(error: Exception) -> str:
    """What an error says, as one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]

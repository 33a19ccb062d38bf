"""Which reader fits the folders of the rounds."""

from collections.abc import Callable
from typing import Any

from components.ingest import csv_table, fashionai, folders
from components.ingest.rows import Reading, Round

_MARKED = {"fashionai": fashionai, "table": csv_table}
_MODULES: dict[str, Any] = {**_MARKED, "folders": folders}
Reader = Callable[[list[Round], list[Any]], Reading]


def reader(layout: str, rounds: list[Round]) -> Reader:
    """The reader of a layout; `auto`: the first whose own files any round has, else a folder per class."""
    found = (name for name, module in _MARKED.items() if any(module.recognises(round) for round in rounds))
    read: Reader = _MODULES[next(found, "folders") if layout == "auto" else layout].read
    return read

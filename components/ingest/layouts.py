"""Which reader fits the folders of the rounds."""

from collections.abc import Callable
from typing import Any

from components.ingest import fashionai, folders
from components.ingest.rows import Reading, Round

Reader = Callable[[list[Round], list[Any]], Reading]


def reader(layout: str, rounds: list[Round]) -> Reader:
    """The reader of a layout; `auto`: the contest's, if any round has a label or question file where it puts it."""
    if layout == "auto":
        layout = "fashionai" if any(fashionai.recognises(round) for round in rounds) else "folders"
    return {"fashionai": fashionai.read, "folders": folders.read}[layout]

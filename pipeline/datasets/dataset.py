"""What every data set of this room is when it lies on disk, and how a folder becomes visible only when whole."""

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Conflict, PipelineError

ABOUT = "dataset.json"


@dataclass(frozen=True)
class DataSet:
    """A data set in the contest's folder structure.

    Attributes:
        folder: holds one folder a round, the answers and `dataset.json`.
        rounds: `{"name": ..., "uri": absolute folder}`, oldest first.
        answers: the hidden labels of the question rows, in question order, 4 columns, no header.
        attributes: `{"name", "classes", "ordinal"}`, as a recipe wants them; with `"named": False` where the classes
            are mere numbers, which a recipe may name.
    """

    folder: Path
    rounds: list[dict[str, str]]
    answers: Path
    attributes: list[dict[str, Any]]


def load(folder: Path) -> DataSet:
    """Reads a data set written by this room.

    Raises:
        PipelineError: the folder has no readable `dataset.json`.
    """
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PipelineError(f"{folder} is not a finished data set ({error}); remove it and make it again") from error
    rounds = [{"name": name, "uri": str(folder.resolve() / place)} for name, place in about["rounds"].items()]
    return DataSet(folder, rounds, folder / "answers.csv", about["attributes"])


Attribute = dict[str, Any]


def write_about(folder: Path, rounds: dict[str, str], attributes: Sequence[Attribute], made_by: dict[str, Any]) -> None:
    """Writes `dataset.json`; `rounds` is round name to folder name, oldest first."""
    body = {"rounds": rounds, "attributes": list(attributes), "made_by": made_by}
    (folder / ABOUT).write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_rows(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Writes a CSV without header and with bare line feeds, as the contest's files are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def whole_or_nothing(out: Path, fill: Callable[[Path], None]) -> DataSet:
    """Lets `fill` write a data set as `write_whole` does, and reads it."""
    write_whole(out, fill)
    return load(out)


def write_whole(out: Path, fill: Callable[[Path], None]) -> None:
    """Lets `fill` write into a folder beside `out`, then renames it: `out` is complete or absent.

    Raises:
        Conflict: `out` exists and holds something, or would lie in a file.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Conflict(f"{out} exists already and is not an empty folder; remove it or name another")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise Conflict(f"{out} would lie in {error.filename}, which is no folder; name another place") from error
    aside = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        fill(aside)
        aside.chmod(0o755)
        if out.exists():
            out.rmdir()
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)

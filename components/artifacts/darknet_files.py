"""Boxes in the files that darknet programs read: pictures beside their labels, lists of them, `.names` and `.data`.

Every path is relative, so the folder can be moved; darknet is started in it. The labels of `images/x.jpg` are a line
for each box, `class x_centre y_centre width height`, in shares of the picture's sides. pjreddie's darknet looks for
them in `labels/x.txt` (and elsewhere if x has one of the words it replaces: `_LOOKED_FOR`), AlexeyAB's in
`images/x.txt`; they lie in both places.
"""

import argparse
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from components.artifacts import boxes
from components.errors import DataError, StepError

NAMES, DATA, BACKUP = "detector.names", "detector.data", "backup"
LISTS = {"train": "train.txt", "validation": "valid.txt", "test": "test.txt"}
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_PNG = b"\x89PNG"
# What pjreddie's darknet replaces in a picture's path to find its labels, each once, wherever it stands first.
_LOOKED_FOR = {
    **dict.fromkeys(("images", "JPEGImages", "raw"), "labels"),
    **dict.fromkeys((".jpg", ".png", ".JPG", ".JPEG"), ".txt"),
}
_CORNERS = ("x_min", "y_min", "x_max", "y_max")


def label(class_index: int, x_min: float, y_min: float, x_max: float, y_max: float) -> str:
    """One line of a label file, without its end."""
    centre = (x_min + x_max) / 2, (y_min + y_max) / 2
    return f"{class_index} " + " ".join(f"{share:.6f}" for share in (*centre, x_max - x_min, y_max - y_min))


def lay_out(reference: str, folder: Path) -> None:
    """Writes the pictures of every split with their labels, the lists, `detector.names` and `detector.data`.

    Args:
        reference: of split boxes.
        folder: to write into; made if it is not there.

    Raises:
        DataError: the reference has no splits, or an image_id that cannot name a file.
    """
    table = boxes.read(reference)
    if table.stage != "split":
        raise DataError(f"{reference} is at the stage {table.stage!r}; expected 'split', give the result of that step")
    for name in ("images", "labels", BACKUP):
        (folder / name).mkdir(parents=True, exist_ok=True)
    labels = _labels(table)
    for split, listed in LISTS.items():
        paths = [_write(folder, image_id, data, labels) for image_id, data in boxes.pictures_of(reference, split)]
        _write_lines(folder / listed, paths)
    _write_lines(folder / NAMES, table.classes)
    (folder / DATA).write_text(data_text(len(table.classes)), encoding="utf-8")


def data_text(num_classes: int) -> str:
    """The `.data` file of a folder that `lay_out` makes: darknet finds the lists, names and backups by it."""
    lists = {"train": LISTS["train"], "valid": LISTS["validation"]}
    about = {"classes": num_classes, **lists, "names": NAMES, "backup": BACKUP}
    return "".join(f"{key} = {value}\n" for key, value in about.items())


def _labels(table: boxes.BoxTable) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {image_id: [] for image_id in table.pictures["image_id"].to_pylist()}
    for row in table.boxes.select(["image_id", "class_index", *_CORNERS]).to_pylist():
        found[row["image_id"]].append(label(row["class_index"], *(row[name] for name in _CORNERS)))
    return found


def _write(folder: Path, image_id: str, data: bytes, labels: Mapping[str, list[str]]) -> str:
    """Writes a picture and its labels; returns the picture's path from the folder."""
    ending = ".png" if data.startswith(_PNG) else ".jpg"
    if not _FILE_NAME.fullmatch(image_id) or ending in image_id:
        raise DataError(
            f"image_id {image_id!r} cannot name a file; expected letters, digits, _ . and -, and no {ending} within"
        )
    path = f"images/{image_id}{ending}"
    (folder / path).write_bytes(data)
    for place in _label_paths(path):
        _write_lines(folder / place, labels[image_id])
    return path


def _label_paths(picture: str) -> tuple[str, str]:
    """Where pjreddie's darknet and AlexeyAB's look for the labels of a picture."""
    path = picture
    for word, other in _LOOKED_FOR.items():
        path = path.replace(word, other, 1)
    return path, str(Path(picture).with_suffix(".txt"))


def _write_lines(path: Path, lines: Iterable[Any]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def main() -> None:
    """`python -m components.artifacts.darknet_files REFERENCE FOLDER`; a refusal is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m components.artifacts.darknet_files", description=__doc__)
    parser.add_argument("reference", help="of split boxes: <data_root>/boxes/<digest>")
    parser.add_argument("folder", type=Path, help="to write into")
    given = parser.parse_args()
    try:
        lay_out(given.reference, given.folder)
    except StepError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

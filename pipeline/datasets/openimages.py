"""Files in the format of Open Images: boxes, pictures, classes and their hierarchy; pictures in `mirror/<host>/<path>`.

Source: https://storage.googleapis.com/openimages/web/download.html. Coordinates are shares of the stored picture, x
to the right, y down; Rotation says by how many degrees counterclockwise picture and boxes are to be turned.
"""

import base64
import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.datasets.harbour import Thing

BOXES_FILE, IMAGES_FILE = "train-annotations-bbox.csv", "train-images-boxable-with-rotation.csv"
CLASSES_FILE, HIERARCHY_FILE = "class-descriptions-boxable.csv", "bbox_labels_600_hierarchy.json"
MIRROR = "mirror"
BOX_COLUMNS = (
    *("ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax"),
    *("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"),
    *("XClick1X", "XClick2X", "XClick3X", "XClick4X", "XClick1Y", "XClick2Y", "XClick3Y", "XClick4Y"),
)
IMAGE_COLUMNS = (
    *("ImageID", "Subset", "OriginalURL", "OriginalLandingURL", "License", "AuthorProfileURL", "Author", "Title"),
    *("OriginalSize", "OriginalMD5", "Thumbnail300KURL", "Rotation"),
)
CLASSES = {
    "/m/019jd": "Boat",
    "/m/0ph39": "Canoe",
    "/m/03jm5": "House",
    "/m/015p6": "Bird",
    "/m/04h7h": "Lighthouse",
    "/m/07yv9": "Vehicle",
    "/m/01g317": "Person",
}
HIERARCHY: tuple[str, list[Any]] = (
    "/m/0bl9f",
    [("/m/07yv9", [("/m/019jd", [("/m/0ph39", [])])]), ("/m/03jm5", []), ("/m/015p6", [])],
)
"""Label and sub-classes: a canoe is a boat, a boat a vehicle."""
_LABELS = {name: label for label, name in CLASSES.items()}
_LICENSE = "https://creativecommons.org/licenses/by/2.0/"


@dataclass(frozen=True)
class Picture:
    """One picture as published.

    Attributes:
        image_id: 16 hex digits.
        url: where it lies.
        encoded: the file.
        width, height: of the stored picture, pixels.
        things: with boxes in pixels of the stored picture.
        rotation: as the CSV says it; empty where nobody knows.
        size, md5: as the CSV says them (-1 and "" for the file's own).
        is_there: whether the mirror has the file.
        is_listed: whether the CSV of pictures has its line.
    """

    image_id: str
    url: str
    encoded: bytes
    width: int
    height: int
    things: tuple[Thing, ...]
    rotation: str = "0.0"
    size: int = -1
    md5: str = ""
    is_there: bool = True
    is_listed: bool = True

    @property
    def file(self) -> str:
        """Its place below the mirror: host and path, as Storage Transfer Service names objects."""
        address = urlsplit(self.url)
        return f"{address.hostname}{address.path}"


def md5_of(data: bytes) -> str:
    """The MD5 of some bytes in base64, as the CSV has it."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def write(folder: Path, pictures: Sequence[Picture], more_boxes: Sequence[Sequence[str]] = ()) -> None:
    """Writes the four files and the mirror.

    Args:
        folder: to write into.
        pictures: in any order; the files are sorted by image_id, as the published ones are.
        more_boxes: rows of the CSV of boxes that are no thing's.
    """
    found = sorted(pictures, key=lambda picture: picture.image_id)
    boxes = sorted([*(row for picture in found for row in _box_rows(picture)), *map(list, more_boxes)])
    _write_csv(folder / BOXES_FILE, [BOX_COLUMNS, *boxes])
    _write_csv(folder / IMAGES_FILE, [IMAGE_COLUMNS, *(_image_row(p) for p in found if p.is_listed)])
    _write_csv(folder / CLASSES_FILE, list(CLASSES.items()))
    (folder / HIERARCHY_FILE).write_text(json.dumps(_node(HIERARCHY), indent=1) + "\n", encoding="utf-8")
    for picture in found:
        if picture.is_there:
            target = folder / MIRROR / picture.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(picture.encoded)


def _box_rows(picture: Picture) -> Iterator[list[str]]:
    for thing in picture.things:
        x_min, y_min, x_max, y_max = thing.box
        shares = x_min / picture.width, x_max / picture.width, y_min / picture.height, y_max / picture.height
        flags = thing.occluded, thing.truncated, thing.group_of, thing.depiction, False
        yield box_row(picture.image_id, thing.name, [f"{share:.6f}" for share in shares], [str(int(f)) for f in flags])


def box_row(image_id: str, name: str, shares: Sequence[str], flags: Sequence[str] = ("0",) * 5) -> list[str]:
    """A line of the CSV of boxes. `shares`: XMin, XMax, YMin, YMax."""
    return [image_id, "xclick", _LABELS[name], "1", *shares, *flags, *["-1"] * 8]


def _image_row(picture: Picture) -> list[str]:
    size = len(picture.encoded) if picture.size < 0 else picture.size
    author = "https://www.pictures.example/people/harbour/"
    title = f'A harbour, "{picture.image_id[:4]}"'  # real titles have commas and quotes, too
    about = [f"{author}{picture.image_id}", _LICENSE, author, "Harbour, the", title]
    checks = [str(size), picture.md5 or md5_of(picture.encoded)]
    return [picture.image_id, "train", picture.url, *about, *checks, "", picture.rotation]


def _node(entry: tuple[str, list[Any]]) -> dict[str, Any]:
    label, below = entry
    return {"LabelName": label} | ({"Subcategory": [_node(child) for child in below]} if below else {})


def _write_csv(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)

"""The segmentation masks that Open Images has for some boxes, listed: their pictures are not fetched.

Source of the columns: https://storage.googleapis.com/openimages/web/download.html, "Segmentations". A mask names no row
of the boxes, only label and corners of its box; it is one of ours where these agree.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from components.artifacts import boxes
from components.errors import DataError

HEAD = ("image_id", "class", "mask", "x_min", "y_min", "x_max", "y_max")
CORNERS = ("BoxXMin", "BoxYMin", "BoxXMax", "BoxYMax")
_COLUMNS = ("MaskPath", "ImageID", "LabelName", *CORNERS)
_TOLERANCE = 0.002
"""Largest difference of two corners that are the same: the files round to four to six decimals."""


def listed(file: Path, table: boxes.BoxTable) -> list[tuple[Any, ...]]:
    """The masks of the table's boxes: rows with the columns of HEAD, corners of the stored picture.

    Raises:
        DataError: the file is no CSV of masks.
    """
    ours = _boxes_of(table)
    return [row for mask in _masks(file, ours) for row in _of_box(mask, ours[mask["ImageID"]], table)]


def as_csv(rows: Iterable[tuple[Any, ...]]) -> str:
    """The list as CSV with a head."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(rows)
    return text.getvalue()


def _boxes_of(table: boxes.BoxTable) -> Mapping[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table.boxes.select(["image_id", "class_index", "x_min", "y_min", "x_max", "y_max"]).to_pylist():
        found.setdefault(row["image_id"], []).append(row)
    return found


def _masks(file: Path, ours: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of the file that are about pictures of ours; the file is read piece by piece."""
    wanted = pa.array(list(ours), pa.string())
    types = {name: pa.float64() if name in CORNERS else pa.string() for name in _COLUMNS}
    options = arrow_csv.ConvertOptions(include_columns=list(_COLUMNS), column_types=types)
    try:
        for piece in arrow_csv.open_csv(file, convert_options=options):
            yield from piece.filter(pc.is_in(piece["ImageID"], value_set=wanted)).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"{file.name} is no CSV of masks ({first}); expected the columns {', '.join(_COLUMNS)}"
        ) from error


def _of_box(mask: dict[str, Any], boxed: list[dict[str, Any]], table: boxes.BoxTable) -> Iterator[tuple[Any, ...]]:
    corners, of = [mask[name] for name in CORNERS], table.labels.get(mask["LabelName"])
    for box in boxed if None not in corners else ():
        if table.labels and box["class_index"] != of:  # a reference of before labels were kept has none
            continue
        own = [box[name] for name in HEAD[3:]]
        if np.abs(np.subtract(own, corners)).max() <= _TOLERANCE:
            yield box["image_id"], table.classes[box["class_index"]], mask["MaskPath"], *own
            return

"""Rows of the published CSV files -> rows of our tables; what cannot be used is refused with its reason."""

import base64
import binascii
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.artifacts import boxes, transfer_list

BOX_COLUMNS = (
    *("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"),
    *("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"),
)
IMAGE_COLUMNS = ("ImageID", "Subset", "OriginalURL", "OriginalSize", "OriginalMD5", "Rotation")
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "-1", "-1.0", "", "false", "no")  # -1: nobody has looked
_ROTATION = re.compile(r"(0|90|180|270)(\.0*)?")


def box_rows(found: pa.Table, labels: dict[str, int]) -> tuple[pa.Table, pa.Table]:
    """The boxes of some labels: rows of `boxes.BOXES`, and of `boxes.REJECTED` where a box is none.

    Args:
        found: columns BOX_COLUMNS, all text.
        labels: label to number of class.
    """
    names = pa.array(list(labels))
    found = found.filter(pc.is_in(found["LabelName"], value_set=names))
    corners = ("XMin", "YMin", "XMax", "YMax")
    numeric = pc.match_substring_regex(found["XMin"], _NUMBER)
    for corner in corners[1:]:
        numeric = pc.and_(numeric, pc.match_substring_regex(found[corner], _NUMBER))
    numbers = [pc.cast(pc.if_else(numeric, found[corner], "nan"), pa.float64()) for corner in corners]
    x_min, y_min, x_max, y_max = numbers
    words = [pc.utf8_lower(pc.utf8_trim_whitespace(found[_column(flag)])) for flag in boxes.FLAGS]
    flags = [pc.is_in(word, value_set=pa.array(_YES)) for word in words]
    sound = pc.and_(_rises(x_min, x_max), _rises(y_min, y_max))
    for word in words:
        sound = pc.and_(sound, pc.is_in(word, value_set=pa.array([*_YES, *_NO])))
    classes = pc.take(pa.array(labels.values(), pa.int16()), pc.index_in(found["LabelName"], value_set=names))
    table = pa.Table.from_arrays([found["ImageID"], classes, *numbers, *flags], schema=boxes.BOXES)
    return table.filter(sound), _refused_boxes(found.filter(pc.invert(sound)))


def distinct(found: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows of `boxes.BOXES`, each box once, and of `boxes.REJECTED` for every time that it comes again.

    Files overlap, or are given twice; a detector cannot find two boxes in one place.
    """
    rows = found.append_column("row", pa.array(np.arange(found.num_rows)))
    same = ["image_id", "class_index", "x_min", "y_min", "x_max", "y_max"]
    is_first = np.zeros(found.num_rows, bool)
    is_first[rows.group_by(same).aggregate([("row", "min")])["row_min"].to_numpy()] = True
    again = found["image_id"].filter(pa.array(~is_first))
    refused = ({"image_id": name, "url": "", "reason": "the same box again"} for name in again.to_pylist())
    return found.filter(pa.array(is_first)), boxes.rows(boxes.REJECTED, refused)


def picture_rows(found: pa.Table, ids: pa.Array) -> tuple[pa.Table, pa.Table]:
    """The pictures with some ids: rows of `boxes.PICTURES` with a column Subset, and of `boxes.REJECTED`.

    Args:
        found: columns IMAGE_COLUMNS, all text.
        ids: of the pictures that have boxes.
    """
    found = found.filter(pc.is_in(found["ImageID"], value_set=ids))
    sound, refused = [], []
    for row in found.to_pylist():
        problem = _problem(row)
        if problem:
            refused.append({"image_id": row["ImageID"], "url": row["OriginalURL"], "reason": problem})
        else:
            sound.append(_picture(row))
    schema = boxes.PICTURES.append(pa.field("Subset", pa.string()))
    return boxes.rows(schema, sound), boxes.rows(boxes.REJECTED, refused)


def _column(flag: str) -> str:
    """`group_of` is called `IsGroupOf` in the files."""
    return f"Is{flag.title().replace('_', '')}"


def _rises(low: pa.ChunkedArray, high: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether 0 <= low < high <= 1; never where one is no number."""
    inside = pc.and_(pc.greater_equal(low, 0.0), pc.less_equal(high, 1.0))
    return pc.and_(inside, pc.less(low, high))


def _refused_boxes(found: pa.Table) -> pa.Table:
    reasons = [_fault(row) for row in found.to_pylist()]
    columns = [found["ImageID"], pa.array([""] * len(reasons), pa.string()), pa.array(reasons, pa.string())]
    return pa.Table.from_arrays(columns, schema=boxes.REJECTED)


def _fault(row: dict[str, str]) -> str:
    for flag in map(_column, boxes.FLAGS):
        if row[flag].strip().lower() not in (*_YES, *_NO):
            return f"unknown flag: {flag}={row[flag]}; expected 0, 1 or -1"
    corners = " ".join(f"{corner}={row[corner]}" for corner in ("XMin", "XMax", "YMin", "YMax"))
    return f"no box: {corners}; expected 0 <= min < max <= 1"


def _problem(row: dict[str, str]) -> str:
    if not transfer_list.object_name(row["OriginalURL"]):
        return f"no address of a file: OriginalURL={row['OriginalURL']!r}"
    if _degrees(row["Rotation"]) is None:
        return f"unknown rotation: Rotation={row['Rotation']!r}; expected 0, 90, 180, 270 or nothing"
    return ""


def _picture(row: dict[str, str]) -> dict[str, object]:
    size = row["OriginalSize"] if len(row["OriginalSize"]) < 16 else ""
    return {
        "image_id": row["ImageID"],
        "url": row["OriginalURL"],
        "bytes": int(size) if size.isdecimal() else -1,
        "md5": _hex(row["OriginalMD5"]),
        "rotation": _degrees(row["Rotation"]),
        "file": "",
        "width": 0,
        "height": 0,
        "split": "",
        "group": -1,
        "Subset": row["Subset"],
    }


def _degrees(rotation: str) -> int | None:
    """None for what is no rotation; nothing, or no number, is none of it."""
    if rotation.casefold() in ("", "nan"):
        return 0
    return int(float(rotation)) if _ROTATION.fullmatch(rotation) else None


def _hex(md5: str) -> str:
    """Hex digits of an MD5 in base64; nothing for what is none."""
    try:
        digest = base64.b64decode(md5, validate=True)
    except binascii.Error:
        return ""
    return digest.hex() if len(digest) == 16 else ""

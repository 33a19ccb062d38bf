"""Finds a face and the crop below it where collars, necks and necklines are."""

import math
import threading
from functools import cache

import cv2
import numpy as np

Box = tuple[int, int, int, int]
"""left, top, width, height in pixels."""

_SEARCH_PX = 320  # the cascade's time grows with the area; at 320 px a face of 1/10 of the side is still 32 px
_CASCADE = "haarcascade_frontalface_default.xml"
_per_thread = threading.local()


def find_face(picture: np.ndarray, min_share: float, min_neighbours: int) -> Box | None:
    """The most certain frontal face.

    Args:
        picture: (height, width, 3) uint8 RGB.
        min_share: smallest face to look for, as a share of the picture's longer side, > 0.
        min_neighbours: overlapping hits that make a face; more means fewer false faces.

    Returns:
        The face's box in the picture's pixels, or None. Of equally certain ones the larger.
    """
    shrink = min(1.0, _SEARCH_PX / max(picture.shape[:2]))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if shrink < 1:
        grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    smallest = max(20, round(min_share * max(grey.shape)))
    boxes, _, certainty = _cascade().detectMultiScale3(
        grey, 1.1, min_neighbours, minSize=(smallest, smallest), outputRejectLevels=True
    )
    if len(boxes) == 0:
        return None
    best = max(zip(np.ravel(certainty), boxes, strict=True), key=lambda found: (found[0], found[1][2], *found[1]))[1]
    left, top, width, height = (int(value / shrink) for value in best)
    return left, top, width, height


def neck_crop(face: Box, height: int, width: int, columns: float, rows: float) -> Box:
    """The part of a picture around the chin: `columns` faces wide, `rows` faces high, clamped to the picture.

    Args:
        face: the face's box.
        height: of the picture, pixels.
        width: of the picture, pixels.
        columns: width of the crop in face widths; the seed's 3.
        rows: height of the crop in face heights; the seed's 1, from half a face above the chin to half below.

    Returns:
        A box inside the picture; its width or height is 0 where nothing of the crop is inside. The seed let negative
        indices through, which numpy reads from the other end: an empty picture.
    """
    left, top, face_width, face_height = face
    centre, chin = left + face_width / 2, top + face_height
    first_column, first_row = math.floor(centre - columns / 2 * face_width), math.floor(chin - rows / 2 * face_height)
    x0, x1 = _clamped(first_column, first_column + round(columns * face_width), width)
    y0, y1 = _clamped(first_row, first_row + round(rows * face_height), height)
    return x0, y0, x1 - x0, y1 - y0


def _clamped(first: int, end: int, limit: int) -> tuple[int, int]:
    first = min(max(first, 0), limit)
    return first, min(max(end, first), limit)


def _cascade() -> cv2.CascadeClassifier:
    """One classifier a thread: it keeps its working pictures inside, so two threads must not share one."""
    found = getattr(_per_thread, "cascade", None)
    if found is None:
        found = _per_thread.cascade = cv2.CascadeClassifier(_cascade_path())
    return found


@cache
def _cascade_path() -> str:
    path = cv2.data.haarcascades + _CASCADE
    if cv2.CascadeClassifier(path).empty():
        raise RuntimeError(
            f"no face cascade at {path}; it comes with opencv-python-headless >=4.12,<5: install that one"
        )
    return path

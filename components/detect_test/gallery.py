"""Pictures with boxes drawn on them, for the page."""

import base64
import html

import cv2
import numpy as np
import simplejpeg

from components.detect_test.evidence import Evidence

_THERE, _FOUND, _GROUP = (40, 200, 80), (255, 150, 30), (120, 160, 255)
_QUALITY = 80
_FONT, _SCALE, _LINE_PX = cv2.FONT_HERSHEY_SIMPLEX, 0.35, 11


def ranked(evidence: Evidence, count: int) -> tuple[list[int], list[int]]:
    """Rows of the best and of the worst pictures, no picture in both; equal ones by name."""
    names = np.array(evidence.pictures.names)
    order = np.lexsort((names, -evidence.qualities))
    best = min(count, (len(order) + 1) // 2)
    worst = min(count, len(order) - best)
    return order[:best].tolist(), order[::-1][:worst].tolist()


def figures(title: str, rows: list[int], evidence: Evidence, longest_px: int) -> str:
    """The pictures of some rows under a title, each with its name, quality and counts."""
    shown = "".join(_figure(row, evidence, longest_px) for row in rows)
    return f"<h2>{html.escape(title)}</h2>{shown or '<p>None.</p>'}"


def drawn(row: int, evidence: Evidence, longest_px: int) -> np.ndarray:
    """A picture (h, w, 3) uint8 RGB with what is there (green; groups blue) and what was found (orange, with score).

    Where there are several classes, a box says which: what is there at its bottom, what was found at its top.
    """
    picture = evidence.pictures.get([row])[0]
    scale = longest_px / max(picture.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    out = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    truth, found = evidence.pictures.truths[row], evidence.counted[row]
    names = evidence.classes if len(evidence.classes) > 1 else [""]
    for box, kind, group in zip(truth.boxes, truth.classes, truth.groups, strict=True):
        colour = _GROUP if group else _THERE
        left, _, bottom = _rectangle(out, box, colour)
        _write(out, names[kind], left, bottom - 3, colour)
    for box, kind, score in zip(found.boxes, found.classes, found.scores, strict=True):
        left, top, _ = _rectangle(out, box, _FOUND)
        _write(out, f"{names[kind]} {score:.2f}".strip(), left, top + _LINE_PX, _FOUND)
    return out


def _rectangle(picture: np.ndarray, box: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Draws a box; returns its left, top and bottom in pixels."""
    ends = np.array(picture.shape[1::-1] * 2) - 1
    left, top, right, bottom = np.rint(box * ends).astype(int).tolist()
    cv2.rectangle(picture, (left, top), (right, bottom), colour, 1)
    return left, top, bottom


def _write(picture: np.ndarray, text: str, left: int, bottom: int, colour: tuple[int, int, int]) -> None:
    """Writes a line that begins within a box, or before it where the picture would cut its end."""
    width = cv2.getTextSize(text, _FONT, _SCALE, 1)[0][0]
    place = max(0, min(left + 2, picture.shape[1] - width)), max(_LINE_PX, bottom)
    cv2.putText(picture, text, place, _FONT, _SCALE, colour, 1)


def _figure(row: int, evidence: Evidence, longest_px: int) -> str:
    picture = drawn(row, evidence, longest_px)
    data = base64.b64encode(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=_QUALITY)).decode()
    name = html.escape(evidence.pictures.names[row], quote=True)
    there, found = len(evidence.pictures.truths[row]), len(evidence.counted[row])
    caption = f"{name}: quality {evidence.qualities[row]:.2f}, {there} there, {found} found"
    size = f'width="{picture.shape[1]}" height="{picture.shape[0]}"'
    image = f'<img {size} alt="{caption}" src="data:image/jpeg;base64,{data}">'
    return f'<figure style="width:{picture.shape[1]}px">{image}<figcaption>{caption}</figcaption></figure>'

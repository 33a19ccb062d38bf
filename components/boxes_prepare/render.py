"""One picture with its boxes: read, turned upright, letter-boxed, encoded, and looked at for duplicates."""

import hashlib
import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import simplejpeg

from components.artifacts import storage
from components.boxes_prepare.settings import Settings
from components.errors import Missing
from components.vision import decode, phash
from components.vision.detection.letterbox import LetterBox, turned, turned_picture

_SOURCE = 1.25  # longer side of the decoded picture in squares: hardly less sharp than a full decode, much cheaper
_PNG_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True, slots=True)
class Row:
    """What is needed of a picture: where it is, by how much it is to be turned, its boxes (n, 4) before that."""

    image_id: str
    url: str
    uri: str
    rotation: int
    boxes: np.ndarray


class Look(NamedTuple):
    """What duplicates are found by: a hash of the pixels, the size of the upright picture, a small grey one."""

    pixels: str
    width: int
    height: int
    thumbnail: np.ndarray


@dataclass(frozen=True)
class Prepared:
    """A row's picture as it is stored, its boxes in it, and its look; or only the problem."""

    row: Row
    encoded: bytes = b""
    boxes: np.ndarray | None = None
    look: Look | None = None
    problem: str = ""


def prepare(row: Row, settings: Settings) -> Prepared:
    """Depends on nothing but its arguments and the picture's bytes.

    Boxes belong to the pixels as they are stored, and so does the rotation: EXIF, which may say the same once more, is
    left out of account.
    """
    try:
        data = storage.read_bytes(row.uri)
        stored = decode.rgb(data, math.ceil(settings.size_px * _SOURCE), upright=False)
    except (Missing, decode.Undecodable) as error:
        return Prepared(row, problem="no such file" if isinstance(error, Missing) else str(error))
    picture = turned_picture(stored, row.rotation)
    height, width, _ = picture.shape
    fit = LetterBox.of(width, height, settings.size_px)
    look = Look(hashlib.sha256(picture).hexdigest(), width, height, phash.thumbnail(picture))
    return Prepared(row, encode(fit.draw(picture), settings), fit.apply(turned(row.boxes, row.rotation)), look)


def encode(pixels: np.ndarray, settings: Settings) -> bytes:
    """Stores a picture (S, S, 3) uint8 RGB."""
    if settings.encoding == "jpeg":
        return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), settings.quality, "RGB", "444"))
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _PNG_FAST)[1].tobytes()

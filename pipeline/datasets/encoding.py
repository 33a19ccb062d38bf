"""Picture files as people really deliver them: sound ones, odd ones to be read, broken ones to be refused."""

import io
import struct
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from pipeline.datasets.drawing import Pixels

# EXIF orientation -> quarter turns against the clock that the stored pixels have been given.
ORIENTATIONS = {3: 2, 6: 1, 8: -1}


def jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """(height, width, 3) uint8 RGB, or (height, width) grey, as a JPEG file."""
    image = pixels[:, :, ::-1] if pixels.ndim == 3 else pixels
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def png(pixels: Pixels, alpha: bool = False) -> bytes:
    """(height, width, 3) uint8 RGB as a PNG file, if wished with an (opaque) alpha channel."""
    code = cv2.COLOR_RGB2BGRA if alpha else cv2.COLOR_RGB2BGR
    return cv2.imencode(".png", cv2.cvtColor(pixels, code))[1].tobytes()


def pixels_of(encoded: bytes) -> Pixels:
    """A sound picture file as (height, width, 3) uint8 RGB."""
    image = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, dtype=np.uint8)


def rotated(pixels: Pixels, orientation: int) -> bytes:
    """A JPEG stored turned, whose EXIF orientation (3, 6 or 8) says how to show it upright."""
    return with_orientation(jpeg(np.ascontiguousarray(np.rot90(pixels, ORIENTATIONS[orientation]))), orientation)


def with_orientation(encoded: bytes, orientation: int) -> bytes:
    """The same JPEG with an EXIF orientation put in, right or wrong."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    body = b"Exif\0\0" + b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
    return _with_segment(encoded, 0xE1, body)


def commented(encoded: bytes) -> bytes:
    """The same JPEG picture in different bytes: a comment is put in."""
    return _with_segment(encoded, 0xFE, b"copied")


def _with_segment(encoded: bytes, marker: int, body: bytes) -> bytes:
    return encoded[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + encoded[2:]


def grey(pixels: Pixels) -> bytes:
    """A JPEG with one channel."""
    return jpeg(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8))


def cmyk(pixels: Pixels) -> bytes:
    """A JPEG with the four channels of print."""
    target = io.BytesIO()
    Image.fromarray(pixels).convert("CMYK").save(target, "JPEG", quality=92)
    return target.getvalue()


def recompressed(encoded: bytes) -> bytes:
    """A near duplicate: the same picture saved again with a lower quality."""
    return jpeg(pixels_of(encoded), quality=60)


def resized(encoded: bytes) -> bytes:
    """A near duplicate: the same picture at 85 % of its size."""
    smaller = cv2.resize(pixels_of(encoded), None, fx=0.85, fy=0.85, interpolation=cv2.INTER_AREA)
    return jpeg(np.asarray(smaller, dtype=np.uint8))


ODD: dict[str, Callable[[Pixels], bytes]] = {
    "exif_rotated": lambda pixels: rotated(pixels, 6),
    "exif_upside_down": lambda pixels: rotated(pixels, 3),
    "grey": grey,
    "cmyk": cmyk,
    "png_named_jpg": png,
    "alpha_png_named_jpg": lambda pixels: png(pixels, alpha=True),
}
BROKEN: dict[str, Callable[[Pixels], bytes]] = {
    "truncated": lambda pixels: jpeg(pixels)[: len(jpeg(pixels)) * 2 // 5],
    "zero_byte": lambda pixels: b"",
    "text_named_jpg": lambda pixels: b"404 Not Found: this was a web page once\n",
}

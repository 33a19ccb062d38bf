"""Bytes of a picture file -> upright RGB pixels. Content decides what a file is, never its name.

JPEG goes through libjpeg-turbo in strict mode: a damaged entropy stream is an error, not a grey stripe. PNG chunks are
checked by their own checksums before decoding. Everything else Pillow can read is read by Pillow. Always RGB: ImageNet
weights were trained on RGB, and one swapped pair of channels costs accuracy silently.
"""

import io
import re
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image

MAX_PIXELS = 89_478_485
"""Larger pictures are refused from their header: 256 MB as RGB, and Pillow's own limit against decompression bombs."""

GREY = 128
"""On this background drawings in black and drawings in white are both seen."""

_EXIF = re.compile(rb"\xff\xe1..Exif\x00\x00", re.DOTALL)
_ORIENTATION = 0x0112
_PNG = b"\x89PNG\r\n\x1a\n"
_MAGIC = {b"\xff\xd8": "JPEG", _PNG: "PNG", b"GIF8": "GIF"}
_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
# What Pillow and its plugins raise on damaged input; anything else is a fault of ours and must be seen.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, LookupError, OverflowError, TypeError)


class Undecodable(Exception):
    """The bytes are no usable picture. The text is a short reason, fit for a report's column: `truncated JPEG`."""


@dataclass(frozen=True)
class _Header:
    kind: str
    width: int
    height: int
    orientation: int
    colour: str

    @property
    def upright(self) -> tuple[int, int]:
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def rgb(data: bytes, min_size: int = 0, *, upright: bool = True, background: int = 0) -> np.ndarray:
    """Decodes a picture.

    Grey is repeated over the channels, CMYK converted, 16 bits rounded to 8, the first frame taken of an animation,
    transparent parts composited on a grey. The EXIF orientation is applied.

    Args:
        data: the file's bytes.
        min_size: when > 0, a JPEG may be decoded at k/8 of its size, the smallest whose longer side is at least
            `min_size` pixels: 2.4 times cheaper than full size and an area resize. Never enlarges.
        upright: False leaves the pixels as they are stored, whatever EXIF says.
        background: grey level behind transparent parts, 0 to 255; 0 is the colour of the padding.

    Returns:
        (height, width, 3) uint8 RGB, C-contiguous.

    Raises:
        Undecodable: empty, truncated, corrupt, larger than MAX_PIXELS, or no picture at all.
    """
    header = _header(data)
    if header.kind == "JPEG" and header.colour in ("YCbCr", "Gray", "RGB"):
        pixels = _jpeg(data, header, min_size)
    elif header.kind == "PNG":
        pixels = _png(data, background)
    else:
        pixels = _pillow(data, header.kind, background)
    return _upright(pixels, header.orientation) if upright else pixels


def size(data: bytes) -> tuple[int, int]:
    """Upright (width, height) in pixels, from the header alone. Raises Undecodable like `rgb`."""
    return _header(data).upright


def _header(data: bytes) -> _Header:
    if not data:
        raise Undecodable("empty file")
    header = _jpeg_header(data) if data.startswith(b"\xff\xd8") else _pillow_header(data)
    if header.width * header.height > MAX_PIXELS:
        raise Undecodable(f"too large: {header.width} x {header.height} pixels, more than {MAX_PIXELS}")
    return header


def _jpeg_header(data: bytes) -> _Header:
    try:
        height, width, colour, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return _pillow_header(data)  # chroma subsampling that TurboJPEG has no name for, or no header at all
    return _Header("JPEG", width, height, _exif_orientation(data), colour)


def _pillow_header(data: bytes) -> _Header:
    try:
        image = Image.open(io.BytesIO(data))
        # the PNG plugin's own getexif decodes the whole picture to look behind it
        orientation = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Undecodable(f"too large: {error}") from error
    except _DAMAGE as error:
        kind = next((f"truncated {name}" for magic, name in _MAGIC.items() if data.startswith(magic)), "not an image")
        raise Undecodable(kind) from error
    return _Header(image.format or "", image.width, image.height, _known(orientation), image.mode)


def _exif_orientation(data: bytes) -> int:
    found = _EXIF.search(data, 0, 1 << 17)
    if not found:
        return 1
    exif = Image.Exif()
    try:
        exif.load(data[found.start() + 4 : found.start() + (1 << 16) + 2])
        return _known(exif.get(_ORIENTATION, 1))
    except _DAMAGE:
        return 1  # a damaged EXIF block says nothing about the pixels


def _known(orientation: Any) -> int:
    return int(orientation) if orientation in range(1, 9) else 1


def _jpeg(data: bytes, header: _Header, min_size: int) -> np.ndarray:
    wide = header.width >= header.height
    longer = {"min_width" if wide else "min_height": min(min_size, max(header.width, header.height))}
    try:
        return simplejpeg.decode_jpeg(data, "RGB", strict=True, **(longer if min_size > 0 else {}))
    except ValueError as error:
        cut = "remature end" in str(error)
        raise Undecodable("truncated JPEG" if cut else f"corrupt JPEG: {error}") from error


def _png(data: bytes, background: int) -> np.ndarray:
    _check_png(data)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        return _pillow(data, "PNG", background)
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    if pixels.shape[2] == 4:
        return _composited(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA), background)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _check_png(data: bytes) -> None:
    """Walks the chunks up to IEND: decoders fill what is missing with black and report success."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + length
        if end > len(data):
            break
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise Undecodable("corrupt PNG: wrong checksum")
        if data[at + 4 : at + 8] == b"IEND":
            return
        at = end
    raise Undecodable("truncated PNG")


def _pillow(data: bytes, kind: str, background: int) -> np.ndarray:
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        if image.mode in _ALPHA or "transparency" in image.info:
            return _composited(np.asarray(image.convert("RGBA")), background)
        if image.mode[0] in "IF":
            return _deep_grey(np.asarray(image))
        return np.ascontiguousarray(np.asarray(image.convert("RGB")))
    except _DAMAGE as error:
        cut = "truncat" in str(error).lower()
        raise Undecodable(f"truncated {kind}" if cut else f"corrupt {kind}: {error}") from error


def _composited(rgba: np.ndarray, background: int) -> np.ndarray:
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + background * (255 - alpha) + 127) // 255).astype(np.uint8)


def _deep_grey(grey: np.ndarray) -> np.ndarray:
    """16-bit integers over their full range; other depths have no agreed white, so their own maximum is taken."""
    whole = 65535 if grey.dtype.itemsize == 2 else max(float(grey.max()), 1.0)
    return cv2.cvtColor(np.clip(np.rint(grey / whole * 255.0), 0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        pixels = cv2.transpose(pixels)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return pixels if flip is None else cv2.flip(pixels, flip)

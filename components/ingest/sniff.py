"""What a picture file says about itself before it is decoded: its real kind, its size, and what is unusual about it."""

import io
import struct
from dataclasses import dataclass
from pathlib import PurePosixPath

import simplejpeg
from PIL import Image, UnidentifiedImageError

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS = {0: "grey", 4: "grey with alpha", 6: "alpha"}
_NAMED = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".png": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
_ORIENTATION = 0x0112
_HEADER_BYTES = 1 << 17


@dataclass(frozen=True)
class Header:
    """kind: `JPEG`, `PNG`, ... "" where unknown; width, height: pixels before EXIF rotation; colour: a note or ""."""

    kind: str = ""
    width: int = 0
    height: int = 0
    colour: str = ""
    is_turned: bool = False


def header(data: bytes) -> Header:
    """Reads a picture's header. Never raises on damaged data: what is not recognised has kind ""."""
    if data.startswith(_PNG) and len(data) > 26:
        width, height, _, colour = struct.unpack(">IIBB", data[16:26])
        return Header("PNG", width, height, _PNG_COLOURS.get(colour, ""), _is_turned(data))
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    return _other(data)


def notes(path: str, seen: Header) -> list[str]:
    """What the report counts about a usable picture, for instance `wrong extension: a PNG called .jpg`."""
    suffix = PurePosixPath(path).suffix.lower()
    found = [seen.colour] if seen.colour else []
    if seen.is_turned:
        found.append("turned upright by EXIF orientation")
    if seen.kind and _NAMED.get(suffix, seen.kind) != seen.kind:
        found.append(f"wrong extension: a {seen.kind} called {suffix}")
    return found


def _jpeg(data: bytes) -> Header:
    try:
        height, width, colour, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return Header("JPEG")
    note = {"Gray": "grey", "CMYK": "CMYK", "YCCK": "CMYK"}.get(colour, "")
    return Header("JPEG", width, height, note, _is_turned(data))


def _other(data: bytes) -> Header:
    try:
        image = Image.open(io.BytesIO(data))
        is_turned = image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, struct.error):
        return Header()
    note = {"L": "grey", "1": "grey", "CMYK": "CMYK", "RGBA": "alpha", "LA": "grey with alpha"}.get(image.mode, "")
    return Header(image.format or "", image.width, image.height, note, is_turned)


def _is_turned(data: bytes) -> bool:
    if b"Exif\0\0" not in data[:_HEADER_BYTES] and b"eXIf" not in data[:_HEADER_BYTES]:
        return False
    return _other(data).is_turned

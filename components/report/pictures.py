"""Thumbnails inside the page: small JPEGs as data addresses, within a fixed room for all of them together."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd

from components.artifacts import storage
from components.errors import Missing
from components.progress import progress
from components.vision import decode

Key = tuple[str, str]
_JPEG = b"\xff\xd8"
READERS = 8
CHUNK = 64


@dataclass(frozen=True)
class Album:
    """Finds and shrinks the pictures of a data set.

    Attributes:
        places: (attribute, image id) to the picture's address.
        side_px: longest side of a thumbnail; smaller pictures are not enlarged.
        quality: JPEG quality.
    """

    places: Mapping[Key, str]
    side_px: int
    quality: int

    def thumbnail(self, key: Key) -> str:
        """A `data:image/jpeg` address, or "" where the picture is missing or cannot be decoded."""
        try:
            picture = _decode(storage.read_bytes(self.places[key]))
        except (KeyError, Missing):
            return ""
        return _data_address(_shrunk(picture, self.side_px), self.quality) if picture is not None else ""


def places(manifest: pd.DataFrame, rounds: Sequence[Mapping[str, Any]]) -> dict[Key, str]:
    """Where every picture lies: (attribute, image id) to the address of the file."""
    roots = [r["uri"] for r in rounds]
    columns = zip(manifest["attribute"], manifest["image_id"], manifest["round"], manifest["path"], strict=True)
    return {(a, i): storage.join(roots[r - 1], path) for a, i, r, path in columns if 1 <= r <= len(roots)}


def thumbnails(album: Album, grids: Sequence[Sequence[Key]], room_bytes: int) -> list[list[str]]:
    """Thumbnails for many grids: the first picture of every grid, then the second of every grid, while there is room.

    A picture that stands in several grids takes its room in each of them, since the page repeats its bytes.

    Returns:
        For every grid the data addresses of its first pictures, as many as there is room for.
    """
    shown: list[list[str]] = [[] for _ in grids]
    wanted = [
        (place, grid[rank])
        for rank in range(max(map(len, grids), default=0))
        for place, grid in enumerate(grids)
        if rank < len(grid)
    ]
    room = room_bytes
    for done, ((place, _), address) in enumerate(zip(wanted, _made(album, [key for _, key in wanted]), strict=True), 1):
        room -= len(address)
        if room < 0:
            break
        shown[place].append(address)
        progress(done, len(wanted), "pictures")
    return shown


def _made(album: Album, keys: Sequence[Key]) -> Iterator[str]:
    """Thumbnails in the order of the keys, several at a time: reading `gs://` one by one would take minutes."""
    known: dict[Key, str] = {}
    with ThreadPoolExecutor(READERS) as readers:
        for start in range(0, len(keys), CHUNK):
            chunk = keys[start : start + CHUNK]
            new = [key for key in dict.fromkeys(chunk) if key not in known]
            known |= zip(new, readers.map(album.thumbnail, new), strict=True)
            yield from (known[key] for key in chunk)


def _decode(data: bytes) -> np.ndarray[Any, Any] | None:
    """BGR pixels, upright, transparent parts grey, or None."""
    if not data:
        return None
    if data.startswith(_JPEG):
        return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    try:
        return cv2.cvtColor(decode.rgb(data, background=decode.GREY), cv2.COLOR_RGB2BGR)
    except decode.Undecodable:
        return None


def _shrunk(picture: np.ndarray[Any, Any], side_px: int) -> np.ndarray[Any, Any]:
    height, width = picture.shape[:2]
    scale = side_px / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _data_address(picture: np.ndarray[Any, Any], quality: int) -> str:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()

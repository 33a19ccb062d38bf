"""Pictures of a run as small JPEGs: from the round's own file, else from the shards.

An address never names a file: it names a picture, and the manifest says where that lies.
"""

import struct
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.compute as pc
import simplejpeg

from components.artifacts import records, shards, storage
from components.vision import decode
from pipeline.console import album, traces
from pipeline.console.traces import Traces

LARGEST_BYTES = 64 << 20
QUALITY = 85
_KEPT_PX = 240  # pictures up to this size are kept in memory
_HEAD_BYTES = 1024  # of a record: its name comes before its views
_DECODING = threading.Semaphore(3)  # a large picture takes a quarter of a gigabyte


def of(found: Traces, image_id: str, view: str, size_px: int) -> bytes | None:
    """A JPEG whose longer side is at most `size_px`; None where nothing of the picture is on this machine.

    Raises:
        DataError: the manifest is gone.
    """
    table = album.manifest_table(found.manifest)
    for row in table.filter(pc.equal(table["image_id"], image_id)).to_pylist():
        made = _original(found, row, size_px) if not view else None
        made = made or _from_shards(found, row, view or "plain", size_px)
        if made:
            return made
    return None


def file_of(found: Traces, row: Mapping[str, Any]) -> Path | None:
    """Where the file of a manifest's row lies on this machine; never outside its round, also not through a link."""
    number = int(row["round"])
    uri = found.rounds[number - 1] if 0 < number <= len(found.rounds) else ""
    if not uri or storage.is_remote(uri):
        return None
    root = Path(uri).resolve()
    try:
        file = (root / str(row["path"])).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _original(found: Traces, row: Mapping[str, Any], size_px: int) -> bytes | None:
    file = file_of(found, row)
    if file is None:
        return None
    about = file.stat()
    if about.st_size > LARGEST_BYTES:
        return None
    if size_px > _KEPT_PX:
        return _decoded(file, size_px)
    return _small(file, about.st_mtime_ns, size_px)


@lru_cache(maxsize=2048)
def _small(file: Path, _: int, size_px: int) -> bytes | None:
    return _decoded(file, size_px)


def _decoded(file: Path, size_px: int) -> bytes | None:
    with _DECODING:
        try:
            return jpeg(decode.rgb(file.read_bytes(), size_px), size_px)
        except (decode.Undecodable, OSError):
            return None


def jpeg(pixels: "np.ndarray[Any, Any]", size_px: int) -> bytes:
    """(height, width, 3) uint8 RGB as JPEG, made smaller where it is larger than asked for, never enlarged."""
    height, width = pixels.shape[:2]
    share = size_px / max(height, width)
    if share < 1:
        size = (max(1, round(width * share)), max(1, round(height * share)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=QUALITY, colorsubsampling="444"))


def _from_shards(found: Traces, row: Mapping[str, Any], view: str, size_px: int) -> bytes | None:
    for left in traces.of_attribute(found.shards, traces.SHARDS, row["attribute"]):
        try:
            about = traces.content(left.where, traces.SHARDS)
            data = _record(left.where, _group(row), row["image_id"])
            encoded = data.get(view) if data else None
            return jpeg(_pixels(encoded, about), size_px) if encoded else None
        except (*traces.UNREADABLE, struct.error, decode.Undecodable):  # a damaged shard
            return None
    return None


def _group(row: Mapping[str, Any]) -> str:
    return shards.group_name(row["kind"], int(row["fold"]), int(row["round"]))


def _pixels(encoded: bytes, about: Mapping[str, Any]) -> "np.ndarray[Any, Any]":
    if about["encoding"] != "raw":
        return decode.rgb(encoded)
    side = int(about["size_px"])
    return np.frombuffer(encoded, np.uint8).reshape(side, side, 3)


@lru_cache(maxsize=64)
def _record(where: str, group: str, image_id: str) -> Mapping[str, bytes] | None:
    """The views of a picture; only the beginnings of the records before it are read."""
    if group not in traces.content(where, traces.SHARDS)["groups"]:
        return None
    wanted = image_id.encode()
    for path in (shard.path for shard in shards.group_files(where, [group])):
        for offset in _holding(path, wanted):
            views = _views_at(path, offset, image_id)
            if views is not None:
                return views
    return None


def _holding(path: Path, wanted: bytes) -> Iterator[int]:
    """Where records begin whose head contains a name; a longer name may contain it too."""
    with open(path, "rb") as file:
        offset = 0
        while len(head := file.read(12)) == 12:
            length = struct.unpack("<Q", head[:8])[0]
            if wanted in file.read(min(length, _HEAD_BYTES)):
                yield offset
            offset += 16 + length
            file.seek(offset)


def _views_at(path: Path, offset: int, image_id: str) -> Mapping[str, bytes] | None:
    with open(path, "rb") as file:
        file.seek(offset)
        length = struct.unpack("<Q", file.read(12)[:8])[0]
        found = records.parse_example(file.read(length))
    if found[shards.IMAGE_ID][0] != image_id.encode():
        return None
    return {name.removeprefix("view/"): bytes(value[0]) for name, value in found.items() if name.startswith("view/")}

"""Looks at every picture once: is it usable, how large is it, what are its pixels, what does it look like."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from components import progress
from components.artifacts import storage
from components.errors import Missing
from components.ingest import sniff
from components.ingest.rows import Round, Row
from components.vision import decode, duplicates, phash

_CHUNK = 64
Key = tuple[int, str]


class _Look(NamedTuple):
    pixels: str
    thumbnail: np.ndarray
    width: int
    height: int
    notes: list[str]
    reason: str


@dataclass(frozen=True)
class Pictures(duplicates.Looks):
    """The pictures of all rounds, numbered in the order in which the rows first name them; thumbnails lie on disk.

    Attributes:
        number: (round, path) to the picture's number.
        reason: why a picture cannot be used, "" where it can.
        notes: what is unusual about usable pictures, to how many of them and the first one's path.
    """

    number: dict[Key, int]
    reason: np.ndarray
    notes: dict[str, tuple[int, str]]


def look_at_all(
    rounds: list[Round], rows: Iterable[Row], folder: Path, *, max_megapixels: float, threads: int
) -> Pictures:
    """Decodes every picture that a row names, once, with several threads; memory does not grow with the pixels.

    Args:
        rounds: where the pictures are.
        rows: what names them; a picture named by several rows is decoded once.
        folder: where the thumbnails are kept; the caller removes it.
        max_megapixels: larger pictures are not decoded.
        threads: OpenCV and libjpeg-turbo release Python's lock, so threads scale like processes.
    """
    cv2.setNumThreads(1)
    keys = list(dict.fromkeys((row.round, row.path) for row in rows))
    pictures = _empty(keys, folder)
    notes: dict[str, tuple[int, str]] = {}
    chunks = [keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK)]
    with ThreadPoolExecutor(threads) as pool:
        looked = pool.map(lambda chunk: _look_at_chunk(chunk, rounds, max_megapixels * 1e6), chunks)
        for start, looks in zip(range(0, len(keys), _CHUNK), looked, strict=True):
            _store(pictures, start, looks)
            _collect(keys[start : start + _CHUNK], looks, notes)
            progress.progress(min(start + _CHUNK, len(keys)), len(keys), "pictures")
    pictures.notes.update(sorted(notes.items()))
    return pictures


def _empty(keys: list[Key], folder: Path) -> Pictures:
    num = len(keys)
    thumbnails = np.memmap(folder / "thumbnails", np.uint8, "w+", shape=(max(num, 1), phash.SIDE_PX, phash.SIDE_PX))
    return Pictures(
        number={key: i for i, key in enumerate(keys)},
        pixels=np.full(num, "", dtype=object),
        width=np.zeros(num, np.int32),
        height=np.zeros(num, np.int32),
        phash=np.zeros(num, np.uint64),
        is_flat=np.ones(num, bool),
        thumbnails=thumbnails[:num],
        reason=np.full(num, "", dtype=object),
        notes={},
    )


def _look_at_chunk(keys: list[Key], rounds: list[Round], max_pixels: float) -> list[_Look]:
    return [_look(rounds[number - 1], path, max_pixels) for number, path in keys]


def _look(round: Round, path: str, max_pixels: float) -> _Look:
    try:
        data = _bytes(round, path)
        header = sniff.header(data)
        if header.width * header.height > max_pixels:
            raise decode.Undecodable(f"too large: {header.width} x {header.height} pixels")
        rgb = decode.rgb(data, background=decode.GREY)
    except decode.Undecodable as error:
        return _Look("", np.zeros((phash.SIDE_PX, phash.SIDE_PX), np.uint8), 0, 0, [], str(error))
    height, width, _ = rgb.shape
    digest = hashlib.sha256(np.ascontiguousarray(rgb)).hexdigest()
    return _Look(digest, phash.thumbnail(rgb), width, height, sniff.notes(path, header), "")


def _bytes(round: Round, path: str) -> bytes:
    if not path:
        raise decode.Undecodable("path leaves the round's folder")
    try:
        return storage.read_bytes(storage.join(round.uri, path))
    except Missing as error:
        raise decode.Undecodable("missing file") from error
    except OSError as error:
        raise decode.Undecodable(f"unreadable file: {error.strerror}") from error


def _store(pictures: Pictures, start: int, looks: list[_Look]) -> None:
    thumbnails = np.stack([look.thumbnail for look in looks])
    here = slice(start, start + len(looks))
    pictures.thumbnails[here] = thumbnails
    pictures.phash[here] = phash.hashes(thumbnails)
    pictures.is_flat[here] = phash.is_flat(thumbnails)
    pictures.pixels[here] = [look.pixels for look in looks]
    pictures.reason[here] = [look.reason for look in looks]
    pictures.width[here] = [look.width for look in looks]
    pictures.height[here] = [look.height for look in looks]


def _collect(keys: list[Key], looks: list[_Look], notes: dict[str, tuple[int, str]]) -> None:
    for (_, path), look in zip(keys, looks, strict=True):
        for note in look.notes:
            number, example = notes.get(note, (0, path))
            notes[note] = number + 1, example

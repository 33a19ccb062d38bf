"""What lies in shards, without its pixels: one row a picture, and where in which file each of its views begins.

Any view of any picture can then be read alone, so a shuffle over all pictures and views is exact and needs no memory.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import simplejpeg
import tensorflow as tf

from components.artifacts import records, shards
from components.errors import DataError, Unreachable


@dataclass(frozen=True)
class Records:
    """n pictures of shards, v chosen views.

    Attributes:
        image_id: (n,) str objects.
        label: (n,) str objects, "" where not labelled.
        weight: (n,) float32.
        group: (n,) int64, duplicate component.
        fold: (n,) int64, -1 where not labelled.
        round: (n,) int64, from 1.
        file: (n,) int64 into files.
        offset: (n, v) int64, first byte of a view in its file.
        length: (n, v) int64, bytes of a view.
        begin: (n,) int64, first byte of a record's data in its file.
        size: (n,) int64, bytes of a record's data.
        files: the shards.
        views: names.
        encoding: jpeg, png or raw.
        size_px: side of the square pictures.
    """

    image_id: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    group: np.ndarray
    fold: np.ndarray
    round: np.ndarray
    file: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    begin: np.ndarray
    size: np.ndarray
    files: tuple[shards.Shard, ...]
    views: tuple[str, ...]
    encoding: str
    size_px: int

    def __len__(self) -> int:
        return len(self.image_id)

    def take(self, rows: np.ndarray) -> "Records":
        """The pictures at those positions, or where a mask is true, in that order."""
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.type is np.ndarray}
        return replace(self, **columns)


def find(reference: str, groups: Sequence[str], views: Sequence[str]) -> Records:
    """Lists the pictures of some groups of shards, in record order; checksums are verified on the way.

    Args:
        reference: of kind `shards`.
        groups: names such as `labelled-f0-r1`.
        views: names of views in the shards.

    Raises:
        DataError: a group or view that the shards do not have, or a damaged shard.
    """
    index = shards.read_shards_index(reference)
    missing = [view for view in views if view not in index["views"]]
    if missing:
        raise DataError(f"{reference!r} has no view {missing[0]!r}; it has {', '.join(index['views'])}")
    files = shards.group_files(reference, groups)
    rows = [row for number, file in enumerate(shards.opened(files)) for row in _rows(number, file, views)]
    about = {"files": tuple(files), "views": tuple(views), "encoding": index["encoding"], "size_px": index["size_px"]}
    return Records(**_columns(rows, len(views)), **about)


def joined(first: Records, second: Records) -> Records:
    """Both after each other. They must come from the same shards with the same views."""
    columns = {
        f.name: np.concatenate([getattr(first, f.name), getattr(second, f.name)])
        for f in fields(first)
        if f.type is np.ndarray
    }
    columns["file"][len(first) :] += len(first.files)
    return replace(first, files=first.files + second.files, **columns)


def decode(listed: Records, rows: np.ndarray, views: np.ndarray, threads: int) -> np.ndarray:
    """Reads and decodes single views.

    Shards on gs:// are fetched whole, the next ones ahead, where all of them fit into the local cache or the pictures
    are asked for in record order. Otherwise a picture whose shard is not at hand is read alone: in a shuffle over more
    than the cache holds, every batch would fetch nearly every shard.

    Args:
        listed: where they are.
        rows: (m,) int, positions in listed.
        views: (m,) int, positions in listed.views.
        threads: decoded at a time; the codecs release the GIL.

    Returns:
        (m, size_px, size_px, 3) uint8 RGB.
    """
    side = listed.size_px
    out = np.empty((len(rows), side, side, 3), np.uint8)
    in_order = bool((np.diff(rows) >= 0).all())
    whole = in_order or shards.fits_cache(listed.files)
    if in_order and len(rows):
        shards.prefetch(listed.files[listed.file[rows[0]] :])

    def fill(begin: int) -> None:
        for position in range(begin, min(begin + chunk, len(rows))):
            out[position] = _picture(listed, int(rows[position]), int(views[position]), whole)

    chunk = max(1, min(64, -(-len(rows) // max(1, threads))))
    list(_pool(threads).map(fill, range(0, len(rows), chunk)))
    return out


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, threads), thread_name_prefix="decode")


@cache
def _descriptor(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


def _encoded(listed: Records, row: int, view: int, whole: bool) -> bytes:
    shard, place = listed.files[listed.file[row]], (int(listed.length[row, view]), int(listed.offset[row, view]))
    if not shard.is_remote:
        return os.pread(_descriptor(shard.path), *place)
    if whole or shard.is_at_hand:
        with shard.open() as file:
            return os.pread(file.fileno(), *place)
    begin, size = int(listed.begin[row]), int(listed.size[row])
    record = shard.read_range(begin, size + 4)  # with its checksum, as nothing else tells what came
    if not records.is_whole(record):
        raise Unreachable(f"{shard.name}: the record of {listed.image_id[row]} arrived damaged; try again")
    return record[place[1] - begin :][: place[0]]


def _picture(listed: Records, row: int, view: int, whole: bool) -> np.ndarray:
    data = _encoded(listed, row, view, whole)
    side = listed.size_px
    try:
        if listed.encoding == "jpeg":
            picture = simplejpeg.decode_jpeg(data, "RGB")
        elif listed.encoding == "png":
            picture = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        else:
            picture = np.frombuffer(data, np.uint8).reshape(side, side, 3)
    except (ValueError, cv2.error) as error:
        raise DataError(
            f"view {listed.views[view]} of {listed.image_id[row]} cannot be decoded ({error}); run preprocess again"
        ) from error
    if picture.shape != (side, side, 3):
        raise DataError(
            f"view {listed.views[view]} of {listed.image_id[row]} is {picture.shape}; expected "
            f"{(side, side, 3)}; run preprocess again"
        )
    return picture


def _rows(number: int, file: BinaryIO, views: Sequence[str]) -> list[tuple[Any, ...]]:
    found, begin = [], 12  # a record's data follows 8 bytes of length and 4 of checksum, and ends in 4 of checksum
    for data in records.read_records(file):
        # protobuf's C parser: ten times the speed of records.parse_example, which matters for 60,000 small pictures.
        features = tf.train.Example.FromString(data).features.feature
        texts = [features[name].bytes_list.value[0].decode() for name in (shards.IMAGE_ID, shards.LABEL)]
        weight = features[shards.WEIGHT].float_list.value[0]
        numbers = [features[name].int64_list.value[0] for name in (shards.GROUP, shards.FOLD, shards.ROUND)]
        pixels = [features[shards.view_feature(view)].bytes_list.value[0] for view in views]
        # Where equal bytes stand twice (a symmetric picture and its flip), either place reads the same.
        places = [begin + data.find(p) for p in pixels], [len(p) for p in pixels]
        found.append((*texts, weight, *numbers, number, *places, begin, len(data)))
        begin += len(data) + 16
    return found


def _columns(rows: list[tuple[Any, ...]], num_views: int) -> dict[str, np.ndarray]:
    names = ("image_id", "label", "weight", "group", "fold", "round", "file", "offset", "length", "begin", "size")
    dtypes = (object, object, np.float32, *[np.int64] * 8)
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    arrays = {name: np.array(column, dtype) for name, column, dtype in zip(names, columns, dtypes, strict=True)}
    return arrays | {name: arrays[name].reshape(len(rows), num_views) for name in ("offset", "length")}

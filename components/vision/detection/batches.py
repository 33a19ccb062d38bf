"""Prepared pictures with their boxes, and the batches of a training.

Iteration i of a seed has the same pictures in the same variation whatever came before, so a resumed training goes on
with exactly the batches of an uninterrupted one.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.artifacts import boxes as box_tables
from components.errors import DataError
from components.vision import decode
from components.vision.batches import ahead
from components.vision.detection import augment, geometry
from components.vision.detection.average_precision import Truths
from components.vision.detection.learner import Batch

_ORDER, _VARY = 0, 1  # sub-streams of one seed


class Pictures:
    """The pictures of one split, in the table's order; decoded once if they fit into the memory given.

    Attributes:
        names: (n) image ids.
        truths: (n) what is in each.
        groups: (n,) int64, equal for pictures that show the same.
    """

    def __init__(self, uri: str, split: str, cache_mb: int, threads: int) -> None:
        table = box_tables.read(uri)
        if table.stage != "split":
            raise DataError(f"{uri} is at stage {table.stage!r}; expected pictures that the step split has divided")
        self.size_px, self.threads = table.size_px, threads
        rows = table.pictures.filter(pc.equal(table.pictures["split"], split))
        self.names: list[str] = rows["image_id"].to_pylist()
        self.truths = _truths(table.boxes, self.names)
        self.groups = _groups(rows["group"].to_numpy())
        self._file = _Encoded(box_tables.pictures_of(uri, split) if self.names else iter(()), self.names)
        self.in_memory = len(self.names) * self.size_px**2 * 3 <= cache_mb * 1_000_000
        self._decoded: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def get(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Pictures (m, size_px, size_px, 3) uint8 RGB."""
        if not self.in_memory:
            return self._decode(rows)
        if self._decoded is None:
            self._decoded = self._decode(range(len(self)))
        return self._decoded[np.asarray(rows, np.int64)]

    def in_order(self, size: int) -> Iterator[np.ndarray]:
        """All pictures in batches, made ahead in a thread."""
        starts = range(0, len(self), size)
        return ahead(self.get(range(start, min(start + size, len(self)))) for start in starts)

    def _decode(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), self.size_px, self.size_px, 3), np.uint8)

        def one(place: int) -> None:
            out[place] = decode.rgb(self._file.read(int(rows[place])))

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(one, range(len(rows))))
        return out


def _groups(given: np.ndarray) -> np.ndarray:
    """A picture of no group (-1) is one of its own."""
    return np.where(given < 0, -1 - np.arange(len(given)), given)


def refuse_leak(uri: str) -> None:
    """Raises DataError where pictures that show the same are in two splits: such a test measures memory, not skill."""
    pictures = box_tables.read(uri).pictures
    pairs = set(zip(pictures["group"].to_pylist(), pictures["split"].to_pylist(), strict=True))
    groups = [group for group, _ in pairs if group >= 0]
    if len(groups) > len(set(groups)):
        several = len(groups) - len(set(groups))
        raise DataError(
            f"leak: {several} groups of equal pictures of {uri} are in two splits; run the step split again"
        )


@dataclass(frozen=True)
class Order:
    """How a training goes through its pictures: seed, pictures of an iteration, how they vary."""

    seed: int
    batch: int
    variation: augment.Variation


def batches(pictures: Pictures, order: Order, first: int, last: int) -> Iterator[Batch]:
    """The batches of iterations `first` to `last` (excluded), counted from 0, made ahead in a thread."""
    return ahead(_batch(pictures, order, number) for number in range(first, last))


def _batch(pictures: Pictures, order: Order, number: int) -> Batch:
    rows = _rows(len(pictures), order, number)
    generator = np.random.default_rng([order.seed, _VARY, number])
    changes = augment.draw(order.variation, len(rows), generator)
    with ThreadPoolExecutor(pictures.threads) as pool:
        varied = list(pool.map(augment.varied, pictures.get(rows), changes))
    return Batch(np.stack(varied), *_targets([pictures.truths[row] for row in rows], changes))


def _rows(count: int, order: Order, number: int) -> np.ndarray:
    """Rows of an iteration: a piece of one endless row of shuffles."""
    places = np.arange(number * order.batch, (number + 1) * order.batch)
    rounds = {
        int(r): np.random.default_rng([order.seed, _ORDER, int(r)]).permutation(count) for r in set(places // count)
    }
    return np.array([rounds[int(place) // count][place % count] for place in places])


def _targets(truths: Sequence[Truths], changes: Sequence[augment.Draw]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, T, 5) and weights (n, T), as `YoloLoss` takes them; T is at least 1."""
    found = []
    for truth, change in zip(truths, changes, strict=True):
        boxes, visible = augment.moved(truth.boxes, change)
        rows = np.concatenate([geometry.centred(boxes), truth.classes[:, None]], axis=1)
        found.append((rows[visible], np.where(truth.groups, -1, 1)[visible]))
    most = max(1, *(len(weights) for _, weights in found))
    boxes, weights = np.zeros((len(found), most, 5), np.float32), np.zeros((len(found), most), np.float32)
    for place, (rows, marks) in enumerate(found):
        boxes[place, : len(rows)], weights[place, : len(rows)] = rows, marks
    return boxes, weights


def _truths(boxes: pa.Table, names: Sequence[str]) -> list[Truths]:
    """Boxes by picture, in the order of the names."""
    place = {name: row for row, name in enumerate(names)}
    rows = np.array([place.get(name, -1) for name in boxes["image_id"].to_pylist()], np.int64)
    corners = np.stack([boxes[c].to_numpy() for c in ("x_min", "y_min", "x_max", "y_max")], axis=1)
    classes, groups = boxes["class_index"].to_numpy().astype(np.int64), boxes["group_of"].to_numpy()
    order = np.argsort(rows, kind="stable")
    ends = np.searchsorted(rows[order], np.arange(len(names) + 1))
    parts = (order[begin:end] for begin, end in zip(ends, ends[1:], strict=False))
    return [Truths(corners[p], classes[p], groups[p].astype(bool)) for p in parts]


class _Encoded:
    """Encoded pictures in a file without a name: any of them at any time, in little memory."""

    def __init__(self, pictures: Iterator[tuple[str, bytes]], names: Sequence[str]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the pictures are)
        self._ends = [0]
        for (name, data), expected in zip(pictures, names, strict=True):
            if name != expected:
                raise DataError(
                    f"the shards have picture {name} where the table has {expected}; run boxes_prepare again"
                )
            self._file.write(data)
            self._ends.append(self._ends[-1] + len(data))
        self._file.flush()

    def read(self, row: int) -> bytes:
        begin, end = self._ends[row : row + 2]
        return os.pread(self._file.fileno(), end - begin, begin)

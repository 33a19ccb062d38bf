"""Batches for training and validation.

One row is one (picture, view). An epoch's order depends on the seed and the epoch's number, nothing else: a resumed
training sees the batches that an uninterrupted one would have seen. Small data is decoded once into memory; what does
not fit is decoded batch by batch, some batches ahead, from exact positions in the shards.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from components.vision import augment, view_index

T = TypeVar("T")
_AHEAD = 4
# Sub-streams of one seed: the order of rows, the view of a picture, the variation of a batch.
_ORDER, _VIEW, _VARY = 0, 1, 2


class Batch(NamedTuple):
    """Up to batch_size rows: pictures (n, S, S, 3) uint8, targets (n, K) float32, weights (n,) float32."""

    pictures: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


class Pictures:
    """Pixels of records: decoded once if they fit into the memory given, else whenever asked for."""

    def __init__(self, source: view_index.Records, cache_mb: int, threads: int) -> None:
        self.source, self.threads = source, threads
        self.num_views = len(source.views)
        num_bytes = len(source) * self.num_views * source.size_px**2 * 3
        self.in_memory = num_bytes <= cache_mb * 1_000_000
        self.kept_bytes = num_bytes if self.in_memory else 0
        self._decoded: np.ndarray | None = None

    def get(self, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        """Args: rows, views: (m,) int. Returns: (m, S, S, 3) uint8 RGB."""
        if not self.in_memory:
            return view_index.decode(self.source, rows, views, self.threads)
        if self._decoded is None:
            every = np.arange(len(self.source) * self.num_views)
            self._decoded = view_index.decode(
                self.source, every // self.num_views, every % self.num_views, self.threads
            )
        return self._decoded[rows * self.num_views + views]


@dataclass(frozen=True)
class Order:
    """How an epoch goes through the rows.

    Attributes:
        seed: of all randomness here.
        batch_size: rows; an epoch is cut into batches of equal size give or take one, none larger than this.
        view_sampling: `all` (every view of every picture) or `one` (a random view of every picture, anew each epoch).
        augment: one of augment.KINDS.
        mixup: alpha of the Beta distribution; 0 is off.
    """

    seed: int
    batch_size: int
    view_sampling: str = "all"
    augment: str = "none"
    mixup: float = 0.0


@dataclass(frozen=True)
class TrainingSet:
    """Pictures to learn from: targets (n, K) float32, weights (n,) float32, a row a picture."""

    pictures: Pictures
    targets: np.ndarray
    weights: np.ndarray

    def num_rows(self, order: Order) -> int:
        """Rows of one epoch."""
        return len(self.targets) * (self.pictures.num_views if order.view_sampling == "all" else 1)

    def num_steps(self, order: Order) -> int:
        """Batches of one epoch."""
        return -(-self.num_rows(order) // order.batch_size)

    def epoch(self, order: Order, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, both numbered from 0, from batch `first` on; made ahead in a thread."""
        rows, views = self._rows(order, epoch)
        parts = np.array_split(np.arange(len(rows)), self.num_steps(order))
        left = list(enumerate(parts))[first:]
        made = (self._batch(order, epoch, step, rows[part], views[part]) for step, part in left)
        return ahead(made)

    def _rows(self, order: Order, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        shuffled = np.random.default_rng([order.seed, _ORDER, epoch]).permutation(self.num_rows(order))
        if order.view_sampling == "all":
            return shuffled // self.pictures.num_views, shuffled % self.pictures.num_views
        views = np.random.default_rng([order.seed, _VIEW, epoch]).integers(0, self.pictures.num_views, len(shuffled))
        return shuffled, views

    def _batch(self, order: Order, epoch: int, step: int, rows: np.ndarray, views: np.ndarray) -> Batch:
        generator = np.random.default_rng([order.seed, _VARY, epoch, step])
        pictures = augment.augmented(self.pictures.get(rows, views), order.augment, generator)
        batch = Batch(pictures, self.targets[rows], self.weights[rows])
        return _mixed(batch, *augment.mixed_up(batch.targets, order.mixup, generator)) if order.mixup else batch


def in_order(pictures: Pictures, view: int, batch_size: int) -> Iterator[np.ndarray]:
    """One view of every picture in record order, as batches (n, S, S, 3) uint8."""
    starts = range(0, len(pictures.source), batch_size)
    rows = (np.arange(start, min(start + batch_size, len(pictures.source))) for start in starts)
    return ahead(pictures.get(part, np.full(len(part), view)) for part in rows)


def ahead(made: Iterator[T]) -> Iterator[T]:
    """Runs an iterator in a thread, a few elements ahead. Its error is raised here; leaving early ends the thread."""
    end: Any = object()
    thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
    try:
        waiting = deque(thread.submit(next, made, end) for _ in range(_AHEAD))
        while (element := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, made, end))
            yield element
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


def _mixed(batch: Batch, partners: np.ndarray, share: float) -> Batch:
    """Weighted mean of a batch and its shuffle; pictures are rounded to uint8 again."""
    pictures = batch.pictures * np.float32(share) + batch.pictures[partners] * np.float32(1 - share)
    targets = batch.targets * share + batch.targets[partners] * (1 - share)
    weights = batch.weights * share + batch.weights[partners] * (1 - share)
    return Batch(np.rint(pictures).astype(np.uint8), targets.astype(np.float32), weights.astype(np.float32))

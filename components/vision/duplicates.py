"""Which pictures show the same: equal pixels, or like perceptual hashes whose small grey pictures agree."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from components.vision import hamming

_CROWD = 256
"""With more different pictures behind one hash they are too simple for it (silhouettes), and are left alone."""

_CHUNK = 2048
_ASPECT_TOLERANCE = 0.05


@dataclass(frozen=True)
class Looks:
    """What n pictures look like.

    Attributes:
        pixels: hash of the upright RGB pixels, "" where undecodable.
        width, height: (n,) int32, upright pixels; 0 where undecodable.
        phash: (n,) uint64. is_flat: (n,) bool, the hash says nothing.
        thumbnails: (n, 32, 32) uint8 grey.
    """

    pixels: np.ndarray
    width: np.ndarray
    height: np.ndarray
    phash: np.ndarray
    is_flat: np.ndarray
    thumbnails: np.ndarray


class Settings(Protocol):
    """The knobs of the search, by their names in the steps that have them."""

    @property
    def near_duplicates(self) -> str: ...

    @property
    def near_distance(self) -> int: ...

    @property
    def near_likeness(self) -> float: ...


@dataclass(frozen=True)
class Duplicates:
    """Pairs of pictures, first number below second.

    Attributes:
        first: (n,) int64: for every picture the first one with equal pixels, itself where there is none.
        exact: (m, 2) int64: every further copy with the first one.
        near: (k, 2) int64: like pictures; of exact copies only the first is looked at.
        distance: (k,) bits between the hashes of the near pairs.
        num_candidates: like hashes before the second look.
        num_crowded: pictures left out of the search because too many share their hash.
        group: (n,) int64: pictures connected by pairs have the same number; numbered by first appearance.
    """

    first: np.ndarray
    exact: np.ndarray
    near: np.ndarray
    distance: np.ndarray
    num_candidates: int
    num_crowded: int
    group: np.ndarray


def find(pictures: Looks, settings: Settings) -> Duplicates:
    """Finds all duplicates of a data set."""
    first = _first_copies(pictures)
    copies = np.flatnonzero(first != np.arange(len(first)))
    exact = np.stack([first[copies], copies], axis=1)
    near, num_candidates, num_crowded = _near(pictures, first, settings)
    near = near[np.lexsort((near[:, 1], near[:, 0]))]
    distance = np.bitwise_count(pictures.phash[near[:, 0]] ^ pictures.phash[near[:, 1]])
    group = components(len(first), np.concatenate([exact, near]))
    return Duplicates(first, exact, near, distance, num_candidates, num_crowded, group)


def components(num: int, pairs: np.ndarray) -> np.ndarray:
    """Connected components, numbered by first appearance. num nodes, (m, 2) pairs -> (num,) int64."""
    edges = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(num, num))
    _, found = connected_components(edges, directed=False)
    _, first, number = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number].astype(np.int64)


def _first_copies(pictures: Looks) -> np.ndarray:
    """For every picture the first with the same size and pixels; an undecodable one is only like itself."""
    seen: dict[tuple[str, int, int], int] = {}
    keys = zip(pictures.pixels.tolist(), pictures.width.tolist(), pictures.height.tolist(), strict=True)
    first = [seen.setdefault(key, i) if key[0] else i for i, key in enumerate(keys)]
    return np.array(first, np.int64)


def _near(pictures: Looks, first: np.ndarray, settings: Settings) -> tuple[np.ndarray, int, int]:
    nothing = np.zeros((0, 2), np.int64)
    if settings.near_duplicates == "exact":
        return nothing, 0, 0
    usable = (pictures.pixels != "") & ~pictures.is_flat & (first == np.arange(len(first)))
    numbers = np.flatnonzero(usable)
    buckets = _Buckets(numbers, pictures.phash[numbers])
    like = hamming.pairs(buckets.hashes, settings.near_distance)
    if settings.near_duplicates == "hash":
        pairs = np.concatenate([nothing, *buckets.chains(), buckets.first[like]])
        return np.sort(pairs, axis=1), len(pairs), 0
    crowded = buckets.size > _CROWD
    candidates = np.concatenate([nothing, *buckets.candidates(like, crowded)])
    agree = [c[_agree(pictures, c, settings.near_likeness)] for c in _chunks(candidates)]
    pairs = np.sort(np.concatenate([nothing, *agree]), axis=1)
    return pairs, len(candidates), int(buckets.size[crowded].sum())


class _Buckets:
    """Pictures by hash: the pictures of hash i are numbers[start[i] : start[i] + size[i]]."""

    def __init__(self, numbers: np.ndarray, phash: np.ndarray) -> None:
        order = np.argsort(phash, kind="stable")
        self.numbers = numbers[order]
        self.hashes, self.start, self.size = np.unique(phash[order], return_index=True, return_counts=True)

    @property
    def first(self) -> np.ndarray:
        return self.numbers[self.start]

    def of(self, i: int) -> np.ndarray:
        return self.numbers[self.start[i] : self.start[i] + self.size[i]]

    def chains(self) -> Iterator[np.ndarray]:
        """Each picture with the first of the same hash."""
        for i in np.flatnonzero(self.size > 1):
            same = self.of(i)
            yield np.stack([np.full(len(same) - 1, same[0]), same[1:]], axis=1)

    def candidates(self, like: np.ndarray, crowded: np.ndarray) -> Iterator[np.ndarray]:
        """All pairs of pictures with the same hash or like ones, but for crowded hashes."""
        for i in np.flatnonzero((self.size > 1) & ~crowded):
            same = self.of(i)
            yield np.stack([same[part] for part in np.triu_indices(len(same), 1)], axis=1)
        like = like[~crowded[like].any(axis=1)]
        alone = (self.size[like] == 1).all(axis=1)
        yield self.first[like[alone]]
        for i, j in like[~alone]:
            yield np.stack([part.ravel() for part in np.meshgrid(self.of(i), self.of(j))], axis=1)


def _chunks(pairs: np.ndarray) -> Iterator[np.ndarray]:
    return (pairs[at : at + _CHUNK] for at in range(0, len(pairs), _CHUNK))


def _agree(pictures: Looks, pairs: np.ndarray, likeness: float) -> np.ndarray:
    """The second look: the thumbnails correlate and the aspect ratios are close. (m, 2) -> (m,) bool."""
    aspect = np.log(pictures.width[pairs] / pictures.height[pairs])
    close = np.abs(aspect[:, 0] - aspect[:, 1]) <= _ASPECT_TOLERANCE
    return close & (_correlation(pictures.thumbnails[pairs[:, 0]], pictures.thumbnails[pairs[:, 1]]) >= likeness)


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's r of each pair, (m, 32, 32) uint8 twice -> (m,) float64. Sums are integers, hence exact."""
    a, b = (x.reshape(len(x), -1).astype(np.int32) for x in (first, second))
    num = a.shape[1]
    products = [np.einsum("ij,ij->i", x, y, dtype=np.int64) for x, y in ((a, b), (a, a), (b, b))]
    sums = a.sum(axis=1, dtype=np.int64), b.sum(axis=1, dtype=np.int64)
    covariance = num * products[0] - sums[0] * sums[1]
    variances = (num * products[1] - sums[0] ** 2) * (num * products[2] - sums[1] ** 2).astype(np.float64)
    return covariance / np.sqrt(np.maximum(variances, 1.0))

"""All pairs of 64-bit numbers within a small Hamming distance, exactly and in less than quadratic time.

Cut the 64 bits into b blocks. Two numbers that differ in at most r bits agree on at least b - r blocks, hence on
some set of c blocks where c <= b - r. So for every set of c blocks: put the numbers that agree there side by side and
compare only those. A pair is reported by the first set that sees it. Same idea as Manku, Jain and Das Sarma (WWW 2007).
"""

from itertools import combinations

import numpy as np

_FEW = 3000
# distance -> (blocks, how many must agree): keys of at most 22 bits, so that they are sorted by counting
_PLANS = {1: (3, 1), 2: (3, 1), 3: (6, 2), 4: (6, 2), 5: (7, 2), 6: (9, 3), 7: (10, 3), 8: (11, 3)}


def pairs(hashes: np.ndarray, distance: int) -> np.ndarray:
    """All pairs of different numbers that differ in at most `distance` bits.

    Args:
        hashes: (n,) uint64, each value once.
        distance: 0 to 8 bits.

    Returns:
        (m, 2) int64 positions, first below second, in ascending order.
    """
    if distance == 0 or len(hashes) < 2:
        return np.zeros((0, 2), np.int64)
    found = _compared(hashes, distance) if len(hashes) <= _FEW else _joined(hashes, distance)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def _compared(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Everything against everything, for few numbers: cheaper than loading a compiler."""
    found = []
    for i in range(len(hashes) - 1):
        close = np.flatnonzero(np.bitwise_count(hashes[i + 1 :] ^ hashes[i]) <= distance)
        found.append(np.stack([np.full(len(close), i), close + i + 1], axis=1))
    return np.concatenate(found).astype(np.int64)


def _joined(hashes: np.ndarray, distance: int) -> np.ndarray:
    from components.vision import hamming_join  # compiles with numba, half a second to load

    num_blocks, num_equal = _PLANS[distance]
    cuts = [64 * i // num_blocks for i in range(num_blocks + 1)]
    chosen = np.array(list(combinations(range(num_blocks), num_equal)), np.int64)
    shifts = np.array(cuts[:-1], np.uint64)[chosen]
    widths = np.diff(cuts)[chosen].astype(np.uint64)
    masks = np.bitwise_or.reduce(((np.uint64(1) << widths) - np.uint64(1)) << shifts, axis=1)
    out = np.empty((max(1024, len(hashes)), 2), np.uint32)
    while True:
        num = hamming_join.join(hashes, distance, shifts, widths, masks, out)
        if num <= len(out):
            return np.sort(out[:num].astype(np.int64), axis=1)
        out = np.empty((num, 2), np.uint32)

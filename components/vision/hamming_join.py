"""The compiled part of the search for like hashes: sort by some blocks, compare inside the buckets."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles with a cache beside the module, or without one where nothing may be written (a read-only image)."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


@_compiled
def _num_bits(x):  # type: ignore[no-untyped-def]
    """Set bits of a uint64, added up in ever wider fields; the compiler makes one instruction of it."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@_compiled
def _sort(hashes, shifts, widths, keys, ends, sorted_hashes, sorted_ids):  # type: ignore[no-untyped-def]
    """Sorts by the chosen blocks, by counting. Afterwards ends[k] is where the bucket of key k ends."""
    ends[:] = 0
    for i in range(len(hashes)):
        key = np.uint64(0)
        for block in range(len(shifts)):
            part = (hashes[i] >> shifts[block]) & ((np.uint64(1) << widths[block]) - np.uint64(1))
            key = (key << widths[block]) | part
        keys[i] = key
        ends[key + np.uint64(1)] += 1
    for key in range(1, len(ends)):
        ends[key] += ends[key - 1]
    for i in range(len(hashes)):
        place = ends[keys[i]]
        ends[keys[i]] = place + 1
        sorted_hashes[place] = hashes[i]
        sorted_ids[place] = i


@_compiled
def _scan(sorted_hashes, sorted_ids, ends, distance, masks, table, out, num):  # type: ignore[no-untyped-def]
    """Compares inside the buckets; a pair that an earlier table has seen is left out."""
    start = 0
    for key in range(len(ends) - 1):
        end = ends[key]
        for i in range(start, end):
            for j in range(i + 1, end):
                differing = sorted_hashes[i] ^ sorted_hashes[j]
                if _num_bits(differing) > distance:
                    continue
                is_new = True
                for earlier in range(table):
                    if differing & masks[earlier] == 0:
                        is_new = False
                        break
                if is_new:
                    if num < len(out):
                        out[num, 0] = sorted_ids[i]
                        out[num, 1] = sorted_ids[j]
                    num += 1
        start = end
    return num


def join(
    hashes: np.ndarray, distance: int, shifts: np.ndarray, widths: np.ndarray, masks: np.ndarray, out: np.ndarray
) -> int:
    """Finds all pairs within a distance, table by table.

    Args:
        hashes: (n,) uint64, n below 2**32.
        distance: bits.
        shifts, widths: (tables, blocks) uint64: which bits make up a table's key.
        masks: (tables,) uint64: the same bits as a mask.
        out: (room, 2) uint32, filled with positions.

    Returns:
        How many pairs there are; where that is more than there is room, `out` holds only the first ones.
    """
    num_hashes, num = len(hashes), 0
    keys, ids = np.empty(num_hashes, np.uint32), np.empty(num_hashes, np.uint32)
    in_order = np.empty(num_hashes, np.uint64)
    for table in range(len(masks)):
        ends = np.empty((1 << int(widths[table].sum())) + 1, np.int64)
        _sort(hashes, shifts[table], widths[table], keys, ends, in_order, ids)
        num = _scan(in_order, ids, ends, np.uint64(distance), masks, table, out, num)
    return int(num)

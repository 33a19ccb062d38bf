"""The search for like hashes finds exactly what comparing everything with everything finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.vision import hamming


def planted(num: int, distance: int, seed: int) -> np.ndarray:
    """Random hashes, a third of them a few bits beside another."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, num, dtype=np.uint64)
    copies = hashes[rng.integers(0, num, num // 2)]
    for _ in range(distance):
        copies = copies ^ (np.uint64(1) << rng.integers(0, 64, len(copies)).astype(np.uint64))
    return np.unique(np.concatenate([hashes, copies]))


def as_pairs(found: np.ndarray) -> set[tuple[int, int]]:
    return set(map(tuple, found.tolist()))


@pytest.mark.parametrize("distance", range(1, 9))
def test_the_join_equals_brute_force_at_every_distance(distance):
    hashes = planted(2500, distance, seed=distance)
    assert len(hashes) > hamming._FEW
    found = hamming.pairs(hashes, distance)
    assert as_pairs(found) == as_pairs(hamming._compared(hashes, distance))
    assert len(as_pairs(found)) == len(found) > 100


@settings(max_examples=25)
@given(st.sets(st.integers(0, 2**64 - 1), min_size=2, max_size=40), st.integers(1, 8))
def test_the_join_equals_brute_force_on_any_numbers(values, distance):
    hashes = np.array(sorted(values), np.uint64)
    assert as_pairs(hamming._joined(hashes, distance)) == as_pairs(hamming._compared(hashes, distance))


def test_the_join_makes_room_when_there_are_more_pairs_than_hashes():
    close = np.array([sum(1 << b for b in bits) for bits in np.ndindex(8, 8, 8)], np.uint64)
    hashes = np.unique(np.concatenate([close, planted(2500, 4, 0)]))
    assert as_pairs(hamming._joined(hashes, 8)) == as_pairs(hamming._compared(hashes, 8))
    assert len(hamming.pairs(hashes, 8)) > len(hashes)


def test_nothing_is_like_at_distance_zero_or_alone():
    assert len(hamming.pairs(np.array([1, 2], np.uint64), 0)) == 0
    assert len(hamming.pairs(np.array([7], np.uint64), 8)) == 0


@pytest.mark.slow
def test_the_planted_copies_among_a_million_hashes_are_found():
    assert len(hamming.pairs(planted(700_000, 3, 0), 4)) > 300_000

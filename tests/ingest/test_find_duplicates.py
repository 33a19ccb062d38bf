"""Which pictures count as showing the same, and which merely look alike."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.ingest.pictures import Pictures
from components.ingest.settings import Settings
from components.vision import duplicates, phash


def seen(*pictures):
    """What looking at these pictures (RGB arrays, or None for a broken one) gives."""
    blank = np.zeros((phash.SIDE_PX, phash.SIDE_PX), np.uint8)
    thumbnails = np.stack([blank if p is None else phash.thumbnail(p) for p in pictures])
    return Pictures(
        number={(1, str(i)): i for i in range(len(pictures))},
        pixels=np.array(["" if p is None else str(hash(p.tobytes())) for p in pictures], dtype=object),
        width=np.array([0 if p is None else p.shape[1] for p in pictures], np.int32),
        height=np.array([0 if p is None else p.shape[0] for p in pictures], np.int32),
        phash=phash.hashes(thumbnails),
        is_flat=phash.is_flat(thumbnails),
        thumbnails=thumbnails,
        reason=np.array(["" if p is not None else "empty file" for p in pictures], dtype=object),
        notes={},
    )


def find(*pictures, **knobs):
    return duplicates.find(seen(*pictures), Settings(**knobs))


def smaller(rgb):
    return cv2.resize(rgb, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)


def test_equal_pixels_are_exact_duplicates_of_the_first(draw):
    found = find(draw(1), draw(2), draw(1), draw(1))
    assert found.exact.tolist() == [[0, 2], [0, 3]]
    assert found.group.tolist() == [0, 1, 0, 0]


def test_a_resized_copy_is_a_near_duplicate_with_its_distance(draw):
    found = find(draw(1, 100, 80), draw(2, 100, 80), smaller(draw(1, 100, 80)))
    assert found.near.tolist() == [[0, 2]]
    assert 0 <= found.distance[0] <= 4
    assert found.group.tolist() == [0, 1, 0]


def test_only_exact_duplicates_are_looked_for_on_request(draw):
    found = find(draw(1), smaller(draw(1)), draw(1), near_duplicates="exact")
    assert (len(found.exact), len(found.near)) == (1, 0)


def test_the_first_of_exact_copies_stands_for_all_in_the_near_search(draw):
    found = find(draw(1), draw(1), smaller(draw(1)), smaller(draw(1)))
    assert (found.exact.tolist(), found.near.tolist()) == ([[0, 1], [2, 3]], [[0, 2]])
    assert set(found.group) == {0}


def test_pictures_that_merely_share_their_hash_are_told_apart_by_the_second_look(draw):
    pictures = seen(*(draw(i) for i in range(40)))
    pictures.phash[:] = pictures.phash[0]
    verified = duplicates.find(pictures, Settings())
    assert (len(verified.near), verified.num_candidates) == (0, 40 * 39 / 2)
    assert len(set(verified.group)) == 40


@pytest.mark.parametrize(("likeness", "num_near"), [(0.9, 1), (0.999, 0)])
def test_how_much_two_pictures_must_agree_is_a_knob(draw, likeness, num_near):
    noise = np.random.default_rng(0).integers(0, 60, (60, 48, 3), dtype=np.uint8)
    alike = seen(draw(1), cv2.add(draw(1), cv2.resize(noise[:12, :10], (48, 60))))
    alike.phash[:] = alike.phash[0]
    assert len(duplicates.find(alike, Settings(near_likeness=likeness)).near) == num_near


def test_a_stretched_copy_is_not_the_same_picture(draw):
    stretched = cv2.resize(draw(1, 100, 80), (160, 100))
    assert len(find(draw(1, 100, 80), stretched).near) == 0


def test_blank_pictures_are_not_near_duplicates_of_each_other():
    whites = [np.full((40, 30, 3), 250 + i, np.uint8) for i in range(5)]
    assert len(find(*whites, near_duplicates="hash").near) == 0


def test_undecodable_pictures_are_like_nothing(draw):
    assert find(None, None, draw(1)).group.tolist() == [0, 1, 2]


def test_one_hash_shared_by_a_crowd_is_left_alone_and_counted(draw, monkeypatch):
    monkeypatch.setattr(duplicates, "_CROWD", 3)
    pictures = [np.clip(draw(1).astype(int) + i, 0, 255).astype(np.uint8) for i in range(5)]
    crowd = seen(*pictures, draw(2))
    crowd.phash[:5] = crowd.phash[0]
    found = duplicates.find(crowd, Settings())
    assert (len(found.near), found.num_crowded) == (0, 5)


def test_pairs_between_several_pictures_of_two_like_hashes_are_all_looked_at(draw):
    rgb = draw(1)
    all_like = seen(*(cv2.add(rgb, (i, 0, 0, 0)) for i in range(5)))
    all_like.phash[:2] = 0b0000
    all_like.phash[2:] = 0b0001
    found = duplicates.find(all_like, Settings())
    assert found.near.tolist() == [[i, j] for i in range(5) for j in range(i + 1, 5)]


def test_hash_alone_links_equal_hashes_in_a_chain_not_in_all_pairs(draw):
    crowd = seen(*(draw(i) for i in range(50)))
    crowd.phash[:] = crowd.phash[0]
    found = duplicates.find(crowd, Settings(near_duplicates="hash"))
    assert len(found.near) == 49
    assert set(found.group) == {0}


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_groups_are_the_connected_components_numbered_by_first_appearance(pairs):
    group = duplicates.components(30, np.array(pairs, np.int64).reshape(-1, 2))
    assert all(group[a] == group[b] for a, b in pairs)
    _, first = np.unique(group, return_index=True)
    assert list(first) == sorted(first) and group[0] == 0
    joined = {a: {a} for a in range(30)}
    for a, b in pairs:
        union = joined[a] | joined[b]
        for member in union:
            joined[member] = union
    assert len(set(group)) == len({frozenset(members) for members in joined.values()})

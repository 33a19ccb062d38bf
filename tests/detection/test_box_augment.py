"""Random variation moves the boxes with what is on the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.vision.detection import augment
from components.vision.detection.augment import Draw, Variation

SIDE = 64
FULL = np.array([0.0, 0, 1, 1])


def with_square(box: list[int]) -> np.ndarray:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[box[1] : box[3], box[0] : box[2]] = 255
    return picture


def extent(picture: np.ndarray) -> list[int]:
    """Corners of what is bright; what came from beyond the edge is grey and does not count."""
    rows, columns = np.nonzero(picture[..., 0] > 190)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@given(st.integers(0, 10_000))
def test_the_box_is_where_the_thing_is(seed):
    change = augment.draw(Variation(flip=True, jitter=0.3), 1, np.random.default_rng(seed))[0]
    box = [20, 24, 44, 40]
    found = extent(augment.varied(with_square(box), change))
    boxes, visible = augment.moved(np.array([box]) / SIDE, change)
    assert visible.all()
    np.testing.assert_allclose(boxes[0] * SIDE, found, atol=1.0)


def test_a_mirror_turns_left_to_right():
    change = Draw(True, FULL, 0.0, 1.0, 1.0)
    assert extent(augment.varied(with_square([4, 8, 20, 30]), change)) == [44, 8, 60, 30]
    np.testing.assert_allclose(augment.moved(np.array([[4, 8, 20, 30]]) / SIDE, change)[0] * SIDE, [[44, 8, 60, 30]])


def test_a_box_that_is_hardly_left_is_dropped_and_a_cut_one_ends_at_the_edge():
    change = Draw(False, np.array([0.5, 0, 1.5, 1]), 0.0, 1.0, 1.0)
    boxes, visible = augment.moved(np.array([[0.0, 0, 0.4, 1], [0.4, 0, 0.6, 1], [0.1, 0, 0.52, 1]]), change)
    assert visible.tolist() == [False, True, False]
    np.testing.assert_allclose(boxes[1], [0, 0, 0.1, 1])


def test_nothing_to_vary_leaves_picture_and_boxes():
    change = augment.draw(Variation(), 1, np.random.default_rng(0))[0]
    picture = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    np.testing.assert_array_equal(augment.varied(picture, change), picture)
    boxes = np.array([[0.1, 0.2, 0.3, 0.4]])
    np.testing.assert_array_equal(augment.moved(boxes, change)[0], boxes)


@pytest.mark.parametrize("largest", [1.0, 1.5])
def test_factors_stay_within_what_was_asked(largest):
    draws = augment.draw(Variation(saturation=largest, exposure=largest, hue=0.1), 500, np.random.default_rng(2))
    for values in ([d.saturation for d in draws], [d.exposure for d in draws]):
        assert min(values) >= 1 / largest - 1e-9 and max(values) <= largest + 1e-9
    assert max(abs(d.hue) for d in draws) <= 0.1


def test_colours_change_and_grey_stays_grey():
    picture = np.full((8, 8, 3), 100, np.uint8)
    out = augment.varied(picture, Draw(False, FULL, 0.2, 2.0, 1.5))
    assert (out == 150).all()
    red = np.zeros((8, 8, 3), np.uint8) + np.array([200, 0, 0], np.uint8)
    green = augment.varied(red, Draw(False, FULL, 1 / 3, 1.0, 1.0))[0, 0]
    assert green.argmax() == 1 and green[1] > 150

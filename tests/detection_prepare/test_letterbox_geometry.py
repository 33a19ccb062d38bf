"""Turning and letter-boxing: pictures and boxes go together, nothing is lost, and there is a way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.vision.detection.letterbox import GREY, LetterBox, turned, turned_picture

DEGREES = (0, 90, 180, 270)
sides = st.integers(1, 2000)
squares = st.sampled_from([32, 96, 416, 608])


@st.composite
def box_lists(draw: st.DrawFn) -> np.ndarray:
    """(n, 4) boxes with an area."""
    share = st.floats(0, 1).map(lambda value: round(value, 6))
    pairs = st.tuples(share, share).map(sorted).filter(lambda pair: pair[0] < pair[1])
    found = draw(st.lists(st.tuples(pairs, pairs), max_size=4))
    return np.array([[x[0], y[0], x[1], y[1]] for x, y in found], np.float64).reshape(-1, 4)


def areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


@given(box_lists())
def test_four_quarter_turns_change_nothing(boxes: np.ndarray) -> None:
    once = boxes
    for _ in range(4):
        once = turned(once, 90)
    assert np.allclose(once, boxes, atol=1e-12)


@given(box_lists(), st.sampled_from(DEGREES))
def test_a_turn_keeps_every_area_and_stays_in_the_picture(boxes: np.ndarray, degrees: int) -> None:
    after = turned(boxes, degrees)
    assert np.allclose(areas(after), areas(boxes)) and (after >= 0).all() and (after <= 1).all()
    assert (after[:, 2:] > after[:, :2]).all()


@given(box_lists(), st.sampled_from(DEGREES), st.sampled_from(DEGREES))
def test_turns_add_up(boxes: np.ndarray, first: int, second: int) -> None:
    assert np.allclose(turned(turned(boxes, first), second), turned(boxes, (first + second) % 360))


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(0, [0.1, 0.2, 0.3, 0.6]), (90, [0.2, 0.7, 0.6, 0.9]), (180, [0.7, 0.4, 0.9, 0.8]), (270, [0.4, 0.1, 0.8, 0.3])],
)
def test_turns_go_counterclockwise(degrees: int, expected: list[float]) -> None:
    assert turned(np.array([[0.1, 0.2, 0.3, 0.6]]), degrees)[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("degrees", DEGREES)
def test_a_picture_turns_as_its_boxes_do(degrees: int) -> None:
    picture = np.zeros((40, 100, 3), np.uint8)
    picture[4:12, 10:60] = 255
    after = turned_picture(picture, degrees)
    height, width, _ = after.shape
    left, top, right, bottom = turned(np.array([[0.1, 0.1, 0.6, 0.3]]), degrees)[0] * [width, height, width, height]
    inside = after[round(top) : round(bottom), round(left) : round(right)]
    assert inside.min() == 255 and after.sum() == inside.sum() and after.flags.c_contiguous


@given(sides, sides, squares)
def test_the_whole_picture_lies_in_the_middle_of_the_square_in_its_own_shape(
    width: int, height: int, side: int
) -> None:
    fit = LetterBox.of(width, height, side)
    assert max(fit.width, fit.height) == side
    right, bottom = side - fit.left - fit.width, side - fit.top - fit.height
    assert min(fit.left, fit.top, right, bottom) >= 0 and abs(right - fit.left) <= 1 and abs(bottom - fit.top) <= 1
    ideal = np.array([width, height]) * side / max(width, height)
    assert np.abs(np.maximum(ideal, 1) - [fit.width, fit.height]).max() <= 0.5


@given(st.integers(2, 200), st.integers(2, 200), st.sampled_from([32, 96]))
def test_the_box_of_the_whole_picture_is_where_the_picture_is_drawn(width: int, height: int, side: int) -> None:
    fit = LetterBox.of(width, height, side)
    drawn = fit.draw(np.full((height, width, 3), 255, np.uint8))
    left, top, right, bottom = np.rint(fit.apply(np.array([[0.0, 0.0, 1.0, 1.0]]))[0] * side).astype(int)
    assert drawn[top:bottom, left:right].min() == 255
    assert (drawn == 255).all(axis=2).sum() == (right - left) * (bottom - top)
    assert set(np.unique(drawn)) <= {GREY, 255} and drawn.shape == (side, side, 3)


def test_a_small_picture_is_enlarged_and_a_large_one_averaged() -> None:
    checkers = np.kron(np.indices((64, 64)).sum(axis=0) % 2, np.ones((1, 1)))[..., None].repeat(3, axis=2) * 255
    small = LetterBox.of(64, 64, 32).draw(checkers.astype(np.uint8))
    assert small.min() > 100 and small.max() < 155
    assert LetterBox.of(2, 1, 32).draw(np.full((1, 2, 3), 9, np.uint8))[8:24].max() == 9

"""Laws of the variation of training pictures: drawn from the generator alone, turned and scaled about the middle."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.vision import augment

WARPS = ("rotate", "zoom", "shift_rotate_zoom", "shift_flip_rotate_zoom")
SEEDS, COUNTS, SIDES = st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 41)


def noise(count: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


class Drawing:
    """A generator that draws the same place of every range, from 0 (its lowest number) to 1 (its highest)."""

    def __init__(self, place: float) -> None:
        self.place = place

    def uniform(self, low: float, high: float, count: int) -> np.ndarray:
        return np.full(count, low + self.place * (high - low))


@given(st.sampled_from(augment.KINDS), COUNTS, SIDES, SEEDS)
def test_equal_generators_give_equal_pictures_of_the_same_shape(kind: str, count: int, side: int, seed: int) -> None:
    pictures = noise(count, side)
    first, second = (augment.augmented(pictures, kind, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first.shape, first.dtype) == (pictures.shape, np.uint8)
    np.testing.assert_array_equal(pictures, noise(count, side))


@pytest.mark.parametrize("kind", WARPS)
def test_pictures_of_a_batch_are_varied_each_for_itself_and_anew_with_another_seed(kind: str) -> None:
    pictures = noise(1, 24).repeat(4, axis=0)
    first, second = (augment.augmented(pictures, kind, np.random.default_rng(seed)) for seed in (1, 2))
    assert len({picture.tobytes() for picture in (*first, *second)}) == 8


@given(st.integers(0, 20), SEEDS)
def test_the_middle_pixel_stays_where_a_picture_is_turned(half: int, seed: int) -> None:
    pictures = noise(3, 2 * half + 1, seed)
    turned = augment.augmented(pictures, "rotate", np.random.default_rng(seed))
    np.testing.assert_array_equal(turned[:, half, half], pictures[:, half, half])


@pytest.mark.parametrize("kind", ["rotate", "zoom", "rotate_zoom"])
@pytest.mark.parametrize("side", [12, 33])
def test_a_draw_of_no_turn_and_no_scale_changes_nothing(kind: str, side: int) -> None:
    pictures = noise(3, side)
    np.testing.assert_array_equal(augment.augmented(pictures, kind, Drawing(0.5)), pictures)


@pytest.mark.parametrize("kind", WARPS)
def test_where_a_picture_ends_its_edge_repeats(kind: str) -> None:
    plain = np.full((8, 20, 20, 3), (250, 120, 7), np.uint8)
    np.testing.assert_array_equal(augment.augmented(plain, kind, np.random.default_rng(3)), plain)


@pytest.mark.parametrize(
    ("kind", "place", "degrees", "scale"),
    [
        ("rotate", 0, -20, 1),
        ("rotate", 1, 20, 1),
        ("zoom", 0, 0, 0.8),
        ("zoom", 1, 0, 1.2),
        ("rotate_zoom", 1, 20, 1.2),
    ],
)
def test_the_farthest_turn_is_20_degrees_and_the_scale_from_four_to_six_fifths(
    kind: str, place: float, degrees: float, scale: float
) -> None:
    pictures = np.zeros((1, 101, 101, 3), np.uint8)
    pictures[0, 48:53, 78:83] = 255  # a spot 30 px to the right of the middle
    weight = augment.augmented(pictures, kind, Drawing(place))[0, :, :, 0].astype(float)
    rows, columns = np.indices(weight.shape) - 50
    up, right = -(rows * weight).sum() / weight.sum(), (columns * weight).sum() / weight.sum()
    assert np.degrees(np.arctan2(up, right)) == pytest.approx(degrees, abs=0.2)
    assert np.hypot(up, right) == pytest.approx(30 * scale, abs=0.1)


def shifted(picture: np.ndarray, down: int, right: int, most: int) -> np.ndarray:
    """Cut out of the picture with its edges repeated."""
    wide, side = np.pad(picture, ((most, most), (most, most), (0, 0)), "edge"), len(picture)
    return wide[most + down : most + down + side, most + right : most + right + side]


def _shift(pictures: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    most = max(1, round(pictures.shape[1] / 12))
    down, right = draw.integers(-most, most + 1, (2, len(pictures)))
    return np.array([shifted(p, d, r, most) for p, d, r in zip(pictures, down, right, strict=True)])


def _flip(pictures: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return np.array([p[:, ::-1] if d < 0.5 else p for p, d in zip(pictures, draw.random(len(pictures)), strict=True)])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("flip", _flip), ("shift", _shift), ("shift_flip", lambda pictures, draw: _flip(_shift(pictures, draw), draw))],
)
@pytest.mark.parametrize("side", [9, 28])
def test_flips_and_shifts_draw_as_they_always_did_so_that_older_trainings_come_out_the_same(
    kind: str, expected: Callable[[np.ndarray, np.random.Generator], np.ndarray], side: int
) -> None:
    pictures, ours, theirs = noise(16, side), np.random.default_rng(5), np.random.default_rng(5)
    np.testing.assert_array_equal(augment.augmented(pictures, kind, ours), expected(pictures, theirs))
    assert ours.random() == theirs.random()

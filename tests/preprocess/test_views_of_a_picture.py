"""views: exact squares, the aspect ratio kept, padding never mistaken for picture."""

import dataclasses
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from components.preprocess import render, settings
from components.vision import decode, faces, views

KNOBS = views.Knobs()
PORTRAIT = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((first.astype(float) - second) ** 2))))


@given(st.integers(1, 200), st.integers(1, 200), st.integers(28, 61))
def test_plain_is_an_exact_square_with_the_aspect_ratio_kept(height: int, width: int, size: int) -> None:
    made = views.square(np.full((height, width, 3), 255, np.uint8), size)
    area, longer = made.area, max(height, width)
    assert made.pixels.shape == (size, size, 3) and max(area.height, area.width) == size
    assert abs(area.height - max(1, height * size / longer)) <= 0.5
    assert abs(area.width - max(1, width * size / longer)) <= 0.5
    assert 0 <= size - 2 * area.top - area.height <= 1 and 0 <= size - 2 * area.left - area.width <= 1
    inside = made.pixels[area.slices]
    assert (inside == 255).all() and made.pixels.sum(dtype=int) == inside.sum(dtype=int)


def test_an_odd_difference_pads_one_pixel_more_at_the_end() -> None:
    area = views.square(np.zeros((28, 25, 3), np.uint8), 28).area  # the seed padded 1 + 1 and got 28 x 27
    assert (area.left, area.width, 28 - area.left - area.width) == (1, 25, 2)


def test_a_picture_of_the_right_size_is_not_touched(picture) -> None:
    assert (views.square(picture(1, 28, 28), 28).pixels == picture(1, 28, 28)).all()


def test_scaled_decode_and_linear_resize_lose_less_than_storing_as_jpeg_would() -> None:
    data = PORTRAIT.read_bytes()
    full = decode.rgb(data)
    fast = views.square(decode.rgb(data, render.source_px(settings.Settings(size_px=299))), 299)
    assert fast.picture.shape[0] < full.shape[0] and fast.area == views.square(full, 299).area
    exact = cv2.resize(full, (fast.area.width, fast.area.height), interpolation=cv2.INTER_AREA)
    stored = decode.rgb(simplejpeg.encode_jpeg(exact, 90, "RGB", "420"))
    assert psnr(fast.pixels[fast.area.slices], exact) > psnr(stored, exact) + 3


@given(st.sampled_from(sorted(views.VIEWS)), st.integers(1, 90), st.integers(1, 90), st.sampled_from([28, 33, 64]))
def test_every_view_is_a_square_and_leaves_its_input_alone(name: str, height: int, width: int, size: int) -> None:
    picture = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    made = views.square(picture, size, "a.jpg")
    before = made.pixels.copy(), picture.copy()
    out = views.VIEWS[name](made, KNOBS)
    assert out.shape == (size, size, 3) and out.dtype == np.uint8
    assert (made.pixels == before[0]).all() and (picture == before[1]).all()
    assert (views.VIEWS[name](views.square(picture, size, "a.jpg"), KNOBS) == out).all()


def test_the_settings_know_exactly_the_views_and_their_defaults() -> None:
    assert set(views.VIEWS) == set(settings.VIEWS)
    defaults = {f.name: f.default for f in dataclasses.fields(settings.Settings)}
    own = {f.name: f.default for f in dataclasses.fields(views.Knobs) if f.name != "seed"}
    assert own == {name: defaults[name] for name in own}


def test_flip_exchanges_left_and_right(picture) -> None:
    made = views.square(picture(1), 32)
    assert (views.flip(made, KNOBS) == made.pixels[:, ::-1]).all()


@pytest.mark.parametrize("view", [views.stretch, views.equalise])
def test_padding_has_no_part_in_the_histogram(view, picture) -> None:
    narrow = (picture(4, 20, 64) // 2 + 40).astype(np.uint8)
    padded = views.square(narrow, 64)
    alone = views.Square(narrow, views.Area(0, 0, 64, 20), narrow, "")
    assert (view(padded, KNOBS)[padded.area.slices] == view(alone, KNOBS)).all()
    assert view(padded, KNOBS)[:, 0].max() == 0


def test_stretch_takes_the_second_to_98th_percentile_of_all_channels_to_the_whole_range(picture) -> None:
    made = views.square((picture(4, 64, 64) // 3 + 80).astype(np.uint8), 64)
    low, high = np.percentile(made.pixels, (2, 98))
    expected = np.clip((made.pixels - low) / (high - low), 0, 1) * 255
    assert np.abs(views.stretch(made, KNOBS) - expected).max() <= 4  # a percentile of whole grey levels
    assert views.stretch(made, KNOBS).max() == 255


def test_stretch_leaves_a_picture_of_one_colour_alone() -> None:
    made = views.square(np.full((30, 20, 3), 90, np.uint8), 30)
    assert (views.stretch(made, KNOBS) == made.pixels).all()


def test_equalise_spreads_the_luma(picture) -> None:
    made = views.square((picture(5, 64, 64) // 4 + 90).astype(np.uint8), 64)
    luma = cv2.cvtColor(views.equalise(made, KNOBS), cv2.COLOR_RGB2GRAY)
    assert luma.min() < 20 and luma.max() > 235


def test_flip_equalise_is_the_equalised_flip(picture) -> None:
    made = views.square(picture(6, 64, 64), 64)
    flipped = dataclasses.replace(made, pixels=views.flip(made, KNOBS))
    assert (views.flip_equalise(made, KNOBS) == views.equalise(flipped, KNOBS)).all()


def dot(row: int, column: int) -> views.Square:
    picture = np.zeros((101, 101, 3), np.uint8)
    cv2.circle(picture, (column, row), 4, (255, 255, 255), -1)
    return views.square(picture, 101)


def centre(pixels: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(pixels[..., 0] > 128)
    return float(rows.mean()), float(columns.mean())


@pytest.mark.parametrize(("view", "row", "column"), [(views.rotate_left, 50, 20), (views.rotate_right, 50, 80)])
def test_rotation_turns_the_top_to_its_side(view, row: int, column: int) -> None:
    out = view(dot(20, 50), dataclasses.replace(KNOBS, rotate_degrees=90))
    assert centre(out) == pytest.approx((row, column), abs=0.5)


def test_shift_moves_down_by_a_share_of_the_picture() -> None:
    assert centre(views.shift(dot(20, 50), dataclasses.replace(KNOBS, shift_share=0.3))) == pytest.approx(
        (50, 50), abs=1
    )
    wide = views.square(np.full((50, 100, 3), 255, np.uint8), 100)
    moved = views.shift(wide, dataclasses.replace(KNOBS, shift_share=0.2))
    assert (moved[35:85] == 255).all() and moved.sum(dtype=int) == wide.pixels.sum(dtype=int)  # 0.2 of 50, not of 100


def test_scale_enlarges_around_the_centre() -> None:
    assert centre(views.scale(dot(30, 50), dataclasses.replace(KNOBS, scale_factor=1.5))) == pytest.approx(
        (20, 50), abs=1
    )


def test_noise_belongs_to_the_picture_and_the_seed() -> None:
    grey = np.full((100, 80, 3), 128, np.uint8)
    first, again, other = (views.noise(views.square(grey, 100, key), KNOBS) for key in ("a.jpg", "a.jpg", "b.jpg"))
    assert (first == again).all() and (first != other).any()
    assert (first != views.noise(views.square(grey, 100, "a.jpg"), dataclasses.replace(KNOBS, seed=1))).any()
    inside = first[:, 10:90].astype(float)
    assert inside.std() == pytest.approx(KNOBS.noise_sigma, rel=0.05) and inside.mean() == pytest.approx(128, abs=0.5)
    assert first[:, :10].max() == 0 and first[:, 90:].max() == 0


def test_the_face_view_is_the_seeds_crop_around_the_chin() -> None:
    picture = decode.rgb(PORTRAIT.read_bytes())
    left, top, width, height = faces.find_face(picture, KNOBS.face_min_share, KNOBS.face_neighbours)
    x, y = int(left + width / 2 - 1.5 * width), int(top + height - 0.5 * height)
    crop = picture[y : y + height, max(0, x) : x + 3 * width]
    out = views.face(views.square(picture, 128), KNOBS)
    assert psnr(out, views.square(crop, 128).pixels) > 30
    assert psnr(out, views.square(picture, 128).pixels) < 20


@pytest.mark.parametrize(
    "picture_of", [lambda: np.zeros((1, 1, 3), np.uint8), lambda: np.full((90, 20, 3), 200, np.uint8)]
)
def test_without_a_face_the_face_view_is_plain(picture_of) -> None:
    made = views.square(picture_of(), 64)
    assert (views.face(made, KNOBS) == made.pixels).all()


def test_a_crop_outside_the_picture_is_plain_too(picture, monkeypatch: pytest.MonkeyPatch) -> None:
    made = views.square(picture(1), 64)
    monkeypatch.setattr(faces, "find_face", lambda *_: (200, 300, 20, 20))
    assert (views.face(made, KNOBS) == made.pixels).all()


box = st.tuples(st.integers(-50, 300), st.integers(-50, 300), st.integers(1, 200), st.integers(1, 200))


@given(box, st.integers(1, 250), st.integers(1, 250), st.floats(0.5, 10), st.floats(0.5, 10))
def test_the_crop_is_always_inside_the_picture(face, height: int, width: int, columns: float, rows: float) -> None:
    left, top, crop_width, crop_height = faces.neck_crop(face, height, width, columns, rows)
    assert 0 <= left <= left + crop_width <= width and 0 <= top <= top + crop_height <= height


def test_a_face_at_the_left_edge_gives_a_crop_and_not_an_empty_one() -> None:
    assert faces.neck_crop((5, 40, 30, 30), 200, 100, 3.0, 1.0) == (0, 55, 65, 30)  # the seed: columns -25 to 65, empty


def test_views_stored_as_jpeg_stay_close() -> None:
    made = views.square(decode.rgb(PORTRAIT.read_bytes(), 299), 299)
    stored = decode.rgb(simplejpeg.encode_jpeg(made.pixels, 95, "RGB", "444"))
    assert psnr(stored, made.pixels) > 37.5  # what storing at quality 90 without 4:4:4 loses

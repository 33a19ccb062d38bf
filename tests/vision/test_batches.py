from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from components.artifacts import reference, shards
from components.errors import DataError
from components.vision import augment, batches, view_index
from components.vision.batches import Order, Pictures, TrainingSet

SIDE = 12


def pixels(number: int, view: int) -> np.ndarray:
    return np.random.default_rng([number, view]).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def bytes_of(picture: np.ndarray, encoding: str) -> bytes:
    if encoding == "jpeg":
        return simplejpeg.encode_jpeg(picture, quality=95)
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes() if encoding == "png" else picture.tobytes()


def write_shards(root: Path, count: int, encoding: str = "raw") -> str:
    with reference.draft(str(root), shards.KIND) as draft:
        with shards.Writer(draft.folder, "labelled-f0-r1", 4) as writer:
            for n in range(count):
                views = {"plain": bytes_of(pixels(n, 0), encoding), "flip": bytes_of(pixels(n, 1), encoding)}
                writer.write(shards.Record(f"{n}.jpg", "yn", 0.5, n + 100, 0, 1, 9, 9, views))
            groups = {"labelled-f0-r1": writer.close()}
        content = {"views": ["plain", "flip"], "encoding": encoding, "size_px": SIDE, "groups": groups, "schema": 1}
        return draft.commit(content, {})


def training_set(source: view_index.Records, cache_mb: int = 100) -> TrainingSet:
    count = len(source)
    targets = np.eye(max(count, 2), dtype=np.float32)[:count]
    return TrainingSet(Pictures(source, cache_mb, 2), targets, np.linspace(0.1, 1, count).astype(np.float32))


@pytest.fixture
def source(tmp_path) -> view_index.Records:
    return view_index.find(write_shards(tmp_path, 11), ["labelled-f0-r1"], ["plain", "flip"])


def seen(batch: batches.Batch) -> list[tuple[int, bytes]]:
    return [(int(t.argmax()), p.tobytes()) for p, t in zip(batch.pictures, batch.targets, strict=True)]


def test_records_carry_what_the_shards_say(source):
    assert list(source.image_id) == [f"{n}.jpg" for n in range(11)]
    assert set(source.label) == {"yn"} and set(source.weight) == {0.5}
    assert list(source.group) == list(range(100, 111)) and set(source.fold) == {0} and set(source.round) == {1}


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_single_views_come_back_bit_for_bit(tmp_path, encoding):
    found = view_index.find(write_shards(tmp_path, 9, encoding), ["labelled-f0-r1"], ["flip", "plain"])
    rows, views = np.array([8, 0, 5]), np.array([0, 1, 1])
    expected = [pixels(8, 1), pixels(0, 0), pixels(5, 0)]
    np.testing.assert_array_equal(view_index.decode(found, rows, views, threads=2), expected)


def test_jpeg_views_come_back_as_rgb(tmp_path):
    found = view_index.find(write_shards(tmp_path, 2, "jpeg"), ["labelled-f0-r1"], ["plain"])
    decoded = view_index.decode(found, np.array([1]), np.array([0]), threads=1)[0]
    np.testing.assert_array_equal(decoded, simplejpeg.decode_jpeg(bytes_of(pixels(1, 0), "jpeg")))


def test_a_view_the_shards_do_not_have_is_refused(tmp_path):
    with pytest.raises(DataError, match="no view 'face'; it has plain, flip"):
        view_index.find(write_shards(tmp_path, 1), ["labelled-f0-r1"], ["plain", "face"])


def test_a_damaged_picture_is_named(tmp_path):
    uri = write_shards(tmp_path, 1, "jpeg")
    found = view_index.find(uri, ["labelled-f0-r1"], ["plain"])
    found.length[0, 0] //= 2
    with pytest.raises(DataError, match=r"view plain of 0\.jpg"):
        view_index.decode(found, np.array([0]), np.array([0]), threads=1)


def test_an_epoch_shows_every_view_of_every_picture_once_with_its_own_target(source):
    shown = [row for batch in training_set(source).epoch(Order(1, 4), 0) for row in seen(batch)]
    assert sorted(shown) == sorted((n, pixels(n, v).tobytes()) for n in range(11) for v in (0, 1))


def test_weights_follow_their_pictures(source):
    for batch in training_set(source).epoch(Order(1, 4), 3):
        np.testing.assert_allclose(batch.weights, np.linspace(0.1, 1, 11)[batch.targets.argmax(axis=1)], rtol=1e-6)


def test_one_view_a_picture_draws_anew_every_epoch(source):
    data, order = training_set(source), Order(1, 4, view_sampling="one")
    epochs = [sorted(row for batch in data.epoch(order, e) for row in seen(batch)) for e in range(3)]
    assert [len(rows) for rows in epochs] == [11, 11, 11] and data.num_rows(order) == 11
    assert epochs[0] != epochs[1] and {n for n, _ in epochs[0]} == set(range(11))


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 5))
def test_batches_differ_by_one_row_at_most_and_none_is_too_large(count, batch_size, epoch):
    pictures = SimpleNamespace(num_views=2, get=lambda rows, views: np.zeros((len(rows), 1, 1, 3), np.uint8))
    data = TrainingSet(pictures, np.zeros((count, 2), np.float32), np.ones(count, np.float32))
    order = Order(0, batch_size)
    sizes = [len(batch.targets) for batch in data.epoch(order, epoch)]
    assert sum(sizes) == 2 * count and max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    assert len(sizes) == data.num_steps(order)


@pytest.mark.parametrize("kind", augment.KINDS)
def test_the_same_epoch_is_the_same_bytes_from_memory_and_from_disk(source, kind):
    order = Order(7, 4, augment=kind, mixup=0.4)
    kept, streamed = training_set(source), training_set(source, cache_mb=0)
    assert kept.pictures.kept_bytes == len(source) * len(source.views) * source.size_px**2 * 3
    assert streamed.pictures.kept_bytes == 0
    assert kept.pictures.in_memory and not streamed.pictures.in_memory
    for first, second in zip(kept.epoch(order, 2), streamed.epoch(order, 2), strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)


def test_another_epoch_and_another_seed_are_another_order(source):
    data = training_set(source)
    orders = {(s, e): [r for b in data.epoch(Order(s, 4), e) for r in seen(b)] for s in (1, 2) for e in (0, 1)}
    assert len({tuple(rows) for rows in orders.values()}) == 4


def test_validation_pictures_come_in_record_order(source):
    shown = np.concatenate(list(batches.in_order(Pictures(source, 100, 1), view=1, batch_size=4)))
    np.testing.assert_array_equal(shown, [pixels(n, 1) for n in range(11)])


def test_variation_leaves_the_kept_pictures_alone(source):
    pictures = Pictures(source, 100, 1)
    rows, views = np.arange(11), np.zeros(11, int)
    before = pictures.get(rows, views).copy()
    for kind in augment.KINDS:
        varied = augment.augmented(pictures.get(rows, views), kind, np.random.default_rng(0))
        assert varied.shape == before.shape and varied.dtype == np.uint8
        assert (kind == "none") == np.array_equal(varied, before)
    np.testing.assert_array_equal(pictures.get(rows, views), before)


def test_a_flip_is_a_mirror_and_a_shift_only_moves():
    picture = pixels(0, 0)[None]
    for seed in range(8):
        flipped = augment.augmented(picture, "flip", np.random.default_rng(seed))[0]
        assert np.array_equal(flipped, picture[0]) or np.array_equal(flipped, picture[0, :, ::-1])
    moved = augment.augmented(picture, "shift", np.random.default_rng(1))[0]
    inner = {row.tobytes() for row in picture[0, 2:-2, 2:-2].reshape(-1, 3)}
    assert inner <= {row.tobytes() for row in moved.reshape(-1, 3)}


def test_mixing_keeps_targets_summing_to_one(source):
    for batch in training_set(source).epoch(Order(3, 6, mixup=1.0), 0):
        np.testing.assert_allclose(batch.targets.sum(axis=1), 1, atol=1e-6)


def test_an_error_in_the_thread_is_raised_where_the_batches_are_used():
    def broken():
        yield 1
        raise DataError("the third shard is gone")

    made = batches.ahead(broken())
    assert next(made) == 1
    with pytest.raises(DataError, match="third shard"):
        next(made)


def test_nothing_is_made_far_ahead_of_its_use():
    made = []
    elements = batches.ahead((made.append(n) or n) for n in range(1000))
    assert next(elements) == 0
    elements.close()
    assert len(made) < 20

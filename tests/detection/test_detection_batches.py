"""Pictures with boxes from a reference, and the batches made of them."""

import numpy as np
import pytest

from components.artifacts import boxes as box_tables
from components.errors import DataError
from components.vision import decode
from components.vision.detection import geometry
from components.vision.detection.augment import Variation
from components.vision.detection.batches import Order, Pictures, batches, refuse_leak


def as_lists(found):
    return [tuple(part.tolist() for part in batch) for batch in found]


def test_pictures_and_boxes_are_those_of_the_split_in_its_order(make_boxes):
    uri = make_boxes(train=25, validation=3, test=2)
    pictures = Pictures(uri, "train", 0, 2)
    stored = dict(box_tables.pictures_of(uri, "train"))
    assert pictures.names == list(stored) and len(pictures) == 25
    np.testing.assert_array_equal(pictures.get([7])[0], decode.rgb(stored[pictures.names[7]]))
    rows = box_tables.read(uri).boxes.to_pylist()
    mine = [[r["x_min"], r["y_min"], r["x_max"], r["y_max"]] for r in rows if r["image_id"] == pictures.names[7]]
    np.testing.assert_array_equal(pictures.truths[7].boxes, mine)


def test_pictures_in_memory_are_the_same_as_decoded_ones(make_boxes):
    uri = make_boxes(train=6)
    kept, decoded = Pictures(uri, "train", 100, 2), Pictures(uri, "train", 0, 1)
    assert kept.in_memory and not decoded.in_memory
    np.testing.assert_array_equal(kept.get([4, 1, 4]), decoded.get([4, 1, 4]))
    np.testing.assert_array_equal(np.concatenate(list(kept.in_order(4))), decoded.get(range(6)))


def test_every_iteration_is_the_same_whatever_came_before_it(make_boxes):
    pictures = Pictures(make_boxes(train=10), "train", 0, 2)
    order = Order(3, 4, Variation(flip=True, jitter=0.2, saturation=1.5, exposure=1.5, hue=0.1))
    whole = as_lists(batches(pictures, order, 0, 7))
    assert as_lists(batches(pictures, order, 4, 7)) == whole[4:]
    assert whole != as_lists(batches(pictures, Order(4, 4, order.variation), 0, 7))


def test_each_round_has_every_picture_once(make_boxes):
    pictures = Pictures(make_boxes(train=10), "train", 0, 1)
    first = np.concatenate([batch.pictures for batch in batches(pictures, Order(0, 5, Variation()), 0, 2)])
    own = pictures.get(range(10))
    matched = [int(np.flatnonzero((own == picture).all(axis=(1, 2, 3)))[0]) for picture in first]
    assert sorted(matched) == list(range(10)) and matched != list(range(10))


def test_boxes_come_centred_with_class_and_weight_and_padding_is_nothing(make_boxes):
    pictures = Pictures(make_boxes(train=4), "train", 0, 1)
    batch = next(batches(pictures, Order(0, 4, Variation()), 0, 1))
    counts = batch.weights.sum(axis=1)
    assert sorted(counts) == sorted(len(truth) for truth in pictures.truths)
    assert not batch.boxes[batch.weights == 0].any()
    found = {tuple(np.round(row, 5)) for row in batch.boxes[batch.weights > 0].astype(float)}
    expected = {
        tuple(np.round([*box, kind], 5))
        for truth in pictures.truths
        for box, kind in zip(geometry.centred(truth.boxes), truth.classes, strict=True)
    }
    assert np.allclose(sorted(found), sorted(expected), atol=1e-5)


def test_groups_weigh_less_than_nothing(make_boxes):
    pictures = Pictures(make_boxes(train=3, groups_of=True), "train", 0, 1)
    assert set(next(batches(pictures, Order(0, 3, Variation()), 0, 1)).weights.ravel()) <= {-1.0, 0.0}


def test_copies_of_a_picture_in_two_splits_are_refused(make_boxes):
    refuse_leak(make_boxes(train=3, test=3))
    with pytest.raises(DataError, match="1 groups of equal pictures"):
        refuse_leak(make_boxes(train=3, test=3, group=5))
    refuse_leak(make_boxes(train=3, test=3, group=-1))

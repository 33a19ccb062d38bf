"""Overlap of boxes and non-maximum suppression, against pycocotools, TensorFlow and OpenCV."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask

from components.vision.detection import geometry


def random_boxes(count: int, seed: int) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, 1, (count, 2, 2))
    return np.sort(corners, axis=1).reshape(count, 4)


def as_coco(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def test_two_squares_that_share_a_corner_overlap_by_a_seventh():
    assert geometry.iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3]]))[0, 0] == pytest.approx(1 / 7)


def test_overlaps_are_those_of_pycocotools():
    first, second = random_boxes(40, 1), random_boxes(30, 2)
    expected = mask.iou(as_coco(first), as_coco(second), [0] * 30)
    np.testing.assert_allclose(geometry.iou(first, second), expected, atol=1e-12)


def test_empty_boxes_overlap_nothing():
    point, box = np.array([[0.5, 0.5, 0.5, 0.5]]), np.array([[0.0, 0, 1, 1]])
    assert geometry.iou(point, point)[0, 0] == 0 and geometry.iou(point, box)[0, 0] == 0


@given(st.integers(0, 10_000))
def test_overlap_is_symmetric_within_0_and_1_and_1_with_itself(seed):
    boxes = random_boxes(6, seed)
    found = geometry.iou(boxes, boxes)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_allclose(np.diag(found), 1)


@given(st.integers(0, 10_000))
def test_centres_and_corners_are_each_others_inverse(seed):
    boxes = random_boxes(5, seed)
    np.testing.assert_allclose(geometry.corners(geometry.centred(boxes)), boxes, atol=1e-15)


def test_the_centre_of_a_published_box():
    """The example of darknet's label format."""
    box = np.array([[0.0125, 0.148438, 0.195312, 0.5875]])
    np.testing.assert_allclose(geometry.centred(box), [[0.103906, 0.367969, 0.182812, 0.439062]], atol=1e-6)


@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.45, 0.7]))
def test_suppression_keeps_what_tensorflow_keeps(seed, threshold):
    generator = np.random.default_rng(seed)
    boxes = random_boxes(25, seed).astype(np.float32).astype(np.float64)
    scores = generator.permutation(25) / 25
    found = geometry.non_maximum_suppression(boxes, scores, np.zeros(25, int), threshold)
    expected = tf.image.non_max_suppression(boxes.astype(np.float32), scores.astype(np.float32), 25, threshold)
    assert found.tolist() == expected.numpy().tolist()


def test_suppression_in_one_class_leaves_another_alone_as_opencv_does():
    generator = np.random.default_rng(5)
    boxes, scores, classes = random_boxes(60, 5), (1 + generator.permutation(60)) / 60, generator.integers(0, 3, 60)
    found = geometry.non_maximum_suppression(boxes, scores, classes, 0.4)
    pixels = as_coco(boxes) * 1000
    expected = cv2.dnn.NMSBoxesBatched(pixels.tolist(), scores.tolist(), classes.tolist(), 0.0, 0.4)
    assert sorted(found.tolist()) == sorted(np.array(expected).tolist())


def test_of_equal_scores_the_first_stays():
    box = np.array([[0.0, 0, 1, 1]] * 3)
    assert geometry.non_maximum_suppression(box, np.ones(3), np.zeros(3, int), 0.5).tolist() == [0]

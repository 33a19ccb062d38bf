"""Average precision, number for number that of pycocotools."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from components.vision.detection import average_precision, geometry
from components.vision.detection.average_precision import Truths
from components.vision.detection.detections import Choice, Detections, chosen

CLASSES = 3


def drawn(seed: int, pictures: int = 8, *, groups: bool) -> tuple[list[Truths], list[Detections]]:
    """Boxes, and found ones near some of them; scores and boxes repeat now and then."""
    generator = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(pictures):
        count = int(generator.integers(0, 6))
        low = generator.uniform(0, 0.6, (count, 2))
        boxes = np.concatenate([low, low + generator.uniform(0.05, 0.4, (count, 2))], axis=1)
        flags = generator.random(count) < 0.3 if groups else np.zeros(count, bool)
        truths.append(Truths(boxes, generator.integers(0, CLASSES, count), flags))
        found.append(_near(truths[-1], generator))
    return truths, found


def _near(truth: Truths, generator: np.random.Generator) -> Detections:
    rows = generator.integers(0, max(1, len(truth)), int(generator.integers(0, 9))) if len(truth) else np.zeros(0, int)
    boxes = truth.boxes[rows] + generator.choice([0, 0.01, 0.05, 0.2], (len(rows), 1)) * generator.normal(
        size=(len(rows), 4)
    )
    boxes = np.concatenate(
        [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:]) + 0.01], axis=1
    )
    wrong = generator.random(len(rows)) < 0.2
    kinds = np.where(wrong, generator.integers(0, CLASSES, len(rows)), truth.classes[rows])
    scores = np.sort(generator.choice(np.linspace(0.05, 1, 20), len(rows)))[::-1]
    return Detections(boxes, scores, kinds)


def coco(truths: list[Truths], found: list[Detections]) -> COCOeval:
    """pycocotools' own evaluation of the same."""
    sides = lambda b: [*map(float, (b[0], b[1], b[2] - b[0], b[3] - b[1]))]  # noqa: E731
    there = [
        {"image_id": i, "category_id": int(k), "bbox": sides(b), "area": 1.0, "iscrowd": int(g)}
        for i, t in enumerate(truths)
        for b, k, g in zip(t.boxes, t.classes, t.groups, strict=True)
    ]
    results = [
        {"image_id": i, "category_id": int(k), "bbox": sides(b), "score": float(s)}
        for i, d in enumerate(found)
        for b, s, k in zip(d.boxes, d.scores, d.classes, strict=True)
    ]
    data = COCO()
    data.dataset = {
        "images": [{"id": i} for i in range(len(truths))],
        "categories": [{"id": k} for k in range(CLASSES)],
        "annotations": [a | {"id": n} for n, a in enumerate(there, start=1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        data.createIndex()
        evaluation = COCOeval(data, data.loadRes(results), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


@pytest.mark.parametrize("groups", [False, True])
@settings(max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_every_number_is_that_of_pycocotools(groups, seed):
    truths, found = drawn(seed, groups=groups)
    if not any(map(len, found)):
        return
    precision = coco(truths, found).eval["precision"][:, :, :, 0, 0]  # (thresholds, recalls, classes)
    expected = np.where((precision > -1).all(axis=1), precision.mean(axis=1), np.nan).T
    own = average_precision.mean_average_precision(truths, found, CLASSES)
    np.testing.assert_allclose(own, expected, atol=1e-12)


def test_a_picture_has_a_hundred_boxes_of_each_class_as_with_pycocotools():
    generator = np.random.default_rng(3)
    truths, _ = drawn(4, pictures=3, groups=True)
    raw = [(generator.uniform(0.1, 0.9, (140, 4)), generator.random((140, CLASSES))) for _ in truths]
    for (boxes, scores), truth in zip(raw, truths, strict=True):
        boxes[-len(truth) or 140 :] = geometry.centred(truth.boxes)
        scores[-len(truth) or 140 :] = np.sort(scores, axis=0)[95:][: len(truth)]  # some just within the hundred
    every, most = ([chosen(*found, Choice(0, nms_iou=1, most_boxes=count)) for found in raw] for count in (10_000, 100))
    assert [len(found) for found in every] == [140 * CLASSES] * 3 and [len(found) for found in most] == [300] * 3
    precision = coco(truths, every).eval["precision"][:, :, :, 0, 0]
    expected = np.where((precision > -1).all(axis=1), precision.mean(axis=1), np.nan).T
    assert np.nanmax(expected) > 0
    np.testing.assert_allclose(average_precision.mean_average_precision(truths, most, CLASSES), expected, atol=1e-12)
    for found in most:
        assert (np.diff(found.scores) <= 0).all()


def one(boxes, classes=None, groups=None) -> Truths:
    count = len(boxes)
    return Truths(
        np.array(boxes, float).reshape(-1, 4),
        np.array(classes or [0] * count, int),
        np.array(groups or [False] * count, bool),
    )


def hits(boxes, scores, classes=None) -> Detections:
    return Detections(
        np.array(boxes, float).reshape(-1, 4), np.array(scores, float), np.array(classes or [0] * len(scores), int)
    )


LEFT, RIGHT = [0, 0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]


def test_precision_and_recall_over_falling_scores():
    truths, found = [one([LEFT, RIGHT])], [hits([LEFT, [0, 0.9, 0.1, 1], RIGHT], [0.9, 0.6, 0.3])]
    curve = average_precision.curve([average_precision.match(truths, found, 0)])
    assert curve.precision.tolist() == [1, 1 / 2, 2 / 3] and curve.recall.tolist() == [0.5, 0.5, 1]
    assert curve.at(0.5) == (0.5, 0.5) and curve.at(0.3) == (pytest.approx(2 / 3), 1)
    nothing = curve.at(0.95)
    assert np.isnan(nothing[0]) and nothing[1] == 0


def test_without_anything_to_find_nothing_is_defined():
    empty = [one([])], [hits([LEFT], [0.9])]
    assert np.isnan(average_precision.mean_average_precision(*empty, 1)).all()
    curve = average_precision.curve([average_precision.match(*empty, 0)])
    assert np.isnan(curve.at(0.5)).all()


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        (one([LEFT]), hits([LEFT], [0.9]), 1),
        (one([]), hits([], []), 1),
        (one([LEFT, RIGHT]), hits([LEFT], [0.9]), 1 / 1.5),
        (one([LEFT]), hits([LEFT, RIGHT], [0.9, 0.8]), 1 / 1.5),
        (one([LEFT]), hits([LEFT], [0.9], [1]), 0),
        (one([LEFT]), hits([[0, 0, 0.4, 0.3]], [0.9]), 0.75),
        (one([[0, 0, 1, 1]], groups=[True]), hits([LEFT], [0.9]), 1),
    ],
)
def test_the_quality_of_a_picture(truth, found, expected):
    assert average_precision.quality(truth, found) == pytest.approx(expected)


@given(seed=st.integers(0, 2**32 - 1), times=st.lists(st.integers(0, 3), min_size=8, max_size=8))
@settings(max_examples=50, deadline=None)
def test_a_picture_drawn_several_times_counts_like_so_many_pictures(seed, times):
    truths, found = drawn(seed, groups=True)
    generator = np.random.default_rng(seed)
    found = [Detections(d.boxes, np.sort(generator.random(len(d)))[::-1], d.classes) for d in found]  # no two alike
    rows = np.repeat(np.arange(8), times)
    for kind in range(CLASSES):
        repeated = average_precision.match([truths[r] for r in rows], [found[r] for r in rows], kind)
        np.testing.assert_allclose(
            average_precision.average_precision(average_precision.match(truths, found, kind), np.array(times)),
            average_precision.average_precision(repeated),
        )

"""The loss, its gradients and the numbers of the log, against darknet's own loops written down here one by one."""

import math

import numpy as np
import pytest
import tensorflow as tf

from components.vision.detection.grid import Grid, Scale
from components.vision.detection.loss import STATISTICS, YoloLoss

CLASSES = 2
GRID = Grid(
    [Scale(9, 2, 3, (2, 3)), Scale(16, 4, 6, (0, 1))],
    np.array([[0.1, 0.1], [0.2, 0.1], [0.3, 0.4], [0.6, 0.5]]),
)
TOTAL = 2 * 3 * 2 + 4 * 6 * 2


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def overlap(first, second) -> float:
    sides = [
        min(a + c / 2, b + d / 2) - max(a - c / 2, b - d / 2)
        for a, b, c, d in ((first[0], second[0], first[2], second[2]), (first[1], second[1], first[3], second[3]))
    ]
    common = max(0, sides[0]) * max(0, sides[1])
    return common / (first[2] * first[3] + second[2] * second[3] - common)


def predictions():
    """(number, scale number, column, row, columns, rows, anchor) in the order of the output."""
    number = 0
    for which, scale in enumerate(GRID.scales):
        for row in range(scale.rows):
            for column in range(scale.columns):
                for anchor in scale.mask:
                    yield number, which, column, row, scale.columns, scale.rows, anchor
                    number += 1


def box_of(raw, place) -> tuple[float, ...]:
    number, _, column, row, columns, rows, anchor = place
    x, y, w, h = raw[number][:4]
    width, height = GRID.anchors[anchor]
    return (column + sigmoid(x)) / columns, (row + sigmoid(y)) / rows, math.exp(w) * width, math.exp(h) * height


def darknet(raw, truths, ignore):
    """What darknet does to one picture: the negative gradients (P, 5 + C), and the statistics of each scale."""
    places = list(predictions())
    delta = np.zeros_like(raw)
    sums = np.zeros((2, len(STATISTICS)))
    for place in places:
        number, which = place[:2]
        best = max((overlap(box_of(raw, place), t) for t in truths), default=0)
        sums[which, 6] += sigmoid(raw[number][4])
        delta[number][4] = 0 if best > ignore else -sigmoid(raw[number][4])
    for truth in truths:
        shapes = [overlap((0, 0, *a), (0, 0, truth[2], truth[3])) for a in GRID.anchors]
        wanted = int(np.argmax(shapes))
        for place in places:
            number, which, column, row, columns, rows, anchor = place
            if anchor != wanted or column != int(truth[0] * columns) or row != int(truth[1] * rows):
                continue
            scale = 2 - truth[2] * truth[3]
            x, y, w, h, there = raw[number][:5]
            delta[number][0] = scale * (truth[0] * columns - column - sigmoid(x))
            delta[number][1] = scale * (truth[1] * rows - row - sigmoid(y))
            delta[number][2] = scale * (math.log(truth[2] / GRID.anchors[anchor][0]) - w)
            delta[number][3] = scale * (math.log(truth[3] / GRID.anchors[anchor][1]) - h)
            delta[number][4] = 1 - sigmoid(there)
            for kind in range(CLASSES):
                delta[number][5 + kind] = (kind == truth[4]) - sigmoid(raw[number][5 + kind])
            iou = overlap(box_of(raw, place), truth)
            sums[which, :6] += [1, iou, sigmoid(raw[number][5 + int(truth[4])]), sigmoid(there), iou > 0.5, iou > 0.75]
    return delta, sums


def example(seed: int, most: int = 3):
    generator = np.random.default_rng(seed)
    raw = generator.normal(0, 1, (2, TOTAL, 5 + CLASSES)).astype(np.float32)
    boxes, weights = np.zeros((2, most, 5), np.float32), np.zeros((2, most), np.float32)
    for picture in range(2):
        count = int(generator.integers(0, most + 1))
        boxes[picture, :count, :2] = generator.uniform(0, 1, (count, 2))
        boxes[picture, :count, 2:4] = generator.uniform(0.05, 0.9, (count, 2))
        boxes[picture, :count, 4] = generator.integers(0, CLASSES, count)
        weights[picture, :count] = 1
    return raw, boxes, weights


def is_distinct(boxes, weights) -> bool:
    """Whether no two boxes claim one prediction: there the two differ knowingly."""
    learnt, place = (t.numpy() for t in YoloLoss(GRID, 0.5).assigned(tf.constant(boxes), tf.constant(weights)))
    return all(len(set(p[m > 0])) == (m > 0).sum() for p, m in zip(place, learnt, strict=True))


@pytest.mark.parametrize("ignore", [0.1, 0.3, 1.0])
def test_gradients_cost_and_statistics_are_darknets(ignore):
    seeds = [seed for seed in range(12) if is_distinct(*example(seed)[1:])]
    assert len(seeds) > 6
    for seed in seeds:
        raw, boxes, weights = example(seed)
        variable = tf.Variable(raw)
        with tf.GradientTape() as tape:
            found = YoloLoss(GRID, ignore)(variable, tf.constant(boxes), tf.constant(weights), 2.0)
        own = tape.gradient(found.loss, variable).numpy() * -2
        expected, sums = zip(
            *(
                darknet(r, [tuple(map(float, t)) for t in b[w > 0]], ignore)
                for r, b, w in zip(raw, boxes, weights, strict=True)
            ),
            strict=True,
        )
        np.testing.assert_allclose(own, np.stack(expected), atol=2e-5)
        assert float(found.cost) == pytest.approx(
            np.square(expected).sum() / 2 / 2, rel=1e-4
        )  # two pictures, two scales
        np.testing.assert_allclose(found.statistics.numpy(), np.sum(sums, axis=0), rtol=1e-4, atol=1e-5)


def test_boxes_decode_to_what_they_were_encoded_from():
    raw, boxes, weights = example(3)
    loss = YoloLoss(GRID, 0.5)
    learnt, place = loss.assigned(tf.constant(boxes), tf.constant(weights))
    perfect = raw.copy()
    for picture, row in zip(*np.nonzero(learnt.numpy()), strict=True):
        number, truth = place.numpy()[picture, row], boxes[picture, row]
        offset = np.clip(truth[:2] * GRID.sides[number] - GRID.cells[number], 1e-6, 1 - 1e-6)
        perfect[picture, number, :2] = np.log(offset / (1 - offset))
        perfect[picture, number, 2:4] = np.log(truth[2:4] / GRID.shapes[number])
        decoded = loss.decoded(tf.constant(perfect)).numpy()[picture, number]
        np.testing.assert_allclose(decoded, truth[:4], atol=1e-5)


def test_inside_a_group_nothing_is_a_mistake_and_nothing_is_learnt():
    raw, boxes, weights = example(1)
    boxes[0, 0], weights[0] = (0.5, 0.5, 1, 1, 0), 0
    weights[0, 0] = -1
    variable = tf.Variable(np.clip(raw, -9, -1))
    with tf.GradientTape() as tape:
        found = YoloLoss(GRID, 0.7)(variable, tf.constant(boxes), tf.constant(weights), 2.0)
    gradient = tape.gradient(found.loss, variable).numpy()[0]
    inside = [n for n in range(TOTAL) if 0 < GRID.cells[n][0] < GRID.sides[n][0] - 1 and GRID.shapes[n].max() < 0.3]
    inside = [n for n in inside if 0 < GRID.cells[n][1] < GRID.sides[n][1] - 1]
    assert inside and not gradient[inside].any() and not gradient[:, [0, 1, 2, 3, 5, 6]].any()


def test_a_box_on_the_far_edge_belongs_to_the_last_cell():
    boxes = tf.constant([[[1.0, 1.0, 0.1, 0.1, 0.0]]])
    learnt, place = YoloLoss(GRID, 0.7).assigned(boxes, tf.ones((1, 1)))
    assert learnt.numpy().tolist() == [[1.0]] and GRID.cells[place.numpy()[0, 0]].tolist() == [5, 3]


def test_a_batch_without_boxes_only_learns_that_nothing_is_there():
    raw, boxes, _ = example(0)
    found = YoloLoss(GRID, 0.7)(tf.constant(raw), tf.constant(boxes), tf.zeros(boxes.shape[:2]), 2.0)
    assert np.isfinite(float(found.loss)) and not found.statistics.numpy()[:, :6].any()

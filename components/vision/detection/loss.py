"""The loss of YOLOv3 as darknet computes it, and the numbers that its log tells.

Each box is learnt by one prediction: the cell of its centre, at the anchor whose shape is nearest among those of all
scales. There, with s = 2 - area: s times cross-entropy of the offsets in the cell, s times half the squared error of
the logarithms of the sides over the anchor's, cross-entropy of objectness and of each class. Everywhere else objectness
shall be 0, except where a prediction overlaps some box well anyway. Darknet writes down gradients, never a loss; the
gradients of this loss are those, per picture. What darknet prints as loss is the sum of their squares, the mean over
the scales (`calc_network_cost` divides by the layers that have a cost): `cost`.

One thing differs: where two boxes claim one prediction both are learnt; darknet lets the later one replace the earlier.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from components.vision.detection.grid import Grid

STATISTICS = ("count", "iou", "class", "object", "recall50", "recall75", "anything")
"""Sums over the boxes that a scale learns, and over all its predictions (`anything`: their objectness)."""


class Found(NamedTuple):
    """loss: scalar, mean over the pictures. cost: darknet's, likewise. statistics: (scales, 7) sums."""

    loss: Any
    cost: Any
    statistics: Any


class YoloLoss:
    """The loss for one grid. `ignore_iou`: a prediction that overlaps a box more than this is no mistake."""

    def __init__(self, grid: Grid, ignore_iou: float) -> None:
        self.grid, self.ignore_iou = grid, ignore_iou
        self.cells, self.sides = tf.constant(grid.cells), tf.constant(grid.sides)
        self.shapes, self.of_scale = tf.constant(grid.shapes), tf.constant(grid.of_scale)
        self.anchors, self.owners = tf.constant(grid.anchors, tf.float32), tf.constant(grid.owners)

    def __call__(self, raw: Any, boxes: Any, weights: Any, num_pictures: Any) -> Found:
        """The loss of a batch.

        Args:
            raw: (n, P, 5 + C) float32, the model's output.
            boxes: (n, T, 5) float32: centre x, centre y, width, height in shares of the sides, and the class.
            weights: (n, T) float32: 1 a box to learn, -1 a region in which nothing is a mistake, 0 padding.
            num_pictures: what to divide by; more than n where the batch comes in parts.
        """
        learnt, place = self.assigned(boxes, weights)
        taken = _marked(place, learnt, tf.shape(raw))
        missed = self._background(raw, boxes, weights) * (1 - taken)
        there = tf.nn.sigmoid(raw[..., 4])
        empty = tf.nn.sigmoid_cross_entropy_with_logits(tf.zeros_like(there), raw[..., 4]) * missed
        row = tf.gather(raw, place, batch_dims=1)  # (n, T, 5 + C)
        losses, squares = self._of_boxes(row, boxes, place)
        loss = (tf.reduce_sum(empty) + tf.reduce_sum(losses * learnt)) / num_pictures
        cost = (tf.reduce_sum(tf.square(there) * missed) + tf.reduce_sum(squares * learnt)) / num_pictures
        cost /= len(self.grid.scales)
        return Found(loss, cost, tf.stop_gradient(self._statistics(row, boxes, place, learnt, there)))

    def decoded(self, raw: Any) -> Any:
        """Boxes (n, P, 4) of raw predictions: centre x, centre y, width, height in shares of the sides."""
        return _box(raw, self.cells, self.sides, self.shapes)

    def assigned(self, boxes: Any, weights: Any) -> tuple[Any, Any]:
        """(n, T) whether a box is learnt, 0 or 1, and by which prediction."""
        common = tf.reduce_prod(tf.minimum(boxes[..., None, 2:4], self.anchors), axis=-1)
        area = tf.reduce_prod(boxes[..., 2:4], axis=-1, keepdims=True)
        nearest = tf.argmax(common / (area + tf.reduce_prod(self.anchors, axis=-1) - common), axis=-1)
        first, columns, rows, each, own = tf.unstack(tf.gather(self.owners, nearest), axis=-1)
        column = tf.clip_by_value(tf.cast(boxes[..., 0] * tf.cast(columns, tf.float32), tf.int32), 0, columns - 1)
        row = tf.clip_by_value(tf.cast(boxes[..., 1] * tf.cast(rows, tf.float32), tf.int32), 0, rows - 1)
        learnt = tf.cast((weights > 0) & (first >= 0), tf.float32)
        return learnt, tf.where(learnt > 0, first + (row * columns + column) * each + own, 0)

    def _background(self, raw: Any, boxes: Any, weights: Any) -> Any:
        """(n, P) 1 where a prediction overlaps no box well, so that it should say nothing is there."""

        def best(one: tuple[Any, Any, Any]) -> Any:
            predicted, truth, weight = one
            common, own, whole = _overlap(predicted[:, None], truth[None, :, :4])
            # As for COCO's crowds: inside a region what counts is the share of the prediction that lies in it.
            share = common / tf.maximum(tf.where(weight < 0, own, own + whole - common), 1e-12)
            return tf.reduce_max(tf.where(weight == 0, 0.0, share), axis=-1, keepdims=True)[:, 0]

        predicted = tf.stop_gradient(self.decoded(raw))
        # One picture at a time: all pairs of a batch at once would be gigabytes.
        found = tf.map_fn(best, (predicted, boxes, weights), fn_output_signature=tf.float32)
        return tf.cast(found <= self.ignore_iou, tf.float32)

    def _of_boxes(self, row: Any, boxes: Any, place: Any) -> tuple[Any, Any]:
        """Loss and squared gradients (n, T) of the predictions that learn the boxes."""
        sides, cells, shapes = (tf.gather(a, place) for a in (self.sides, self.cells, self.shapes))
        offset = tf.clip_by_value(boxes[..., :2] * sides - cells, 0.0, 1.0)
        stretch = tf.math.log(tf.maximum(boxes[..., 2:4], 1e-6) / shapes)
        scale = 2 - boxes[..., 2:3] * boxes[..., 3:4]
        cross = tf.nn.sigmoid_cross_entropy_with_logits
        kinds = tf.one_hot(tf.cast(boxes[..., 4], tf.int32), row.shape[-1] - 5)
        losses = tf.concat(
            [
                scale * cross(offset, row[..., :2]),
                scale * tf.square(stretch - row[..., 2:4]) / 2,
                cross(tf.ones_like(row[..., 4:5]), row[..., 4:5]),
                cross(kinds, row[..., 5:]),
            ],
            axis=-1,
        )
        gradients = tf.concat(
            [
                scale * (offset - tf.nn.sigmoid(row[..., :2])),
                scale * (stretch - row[..., 2:4]),
                1 - tf.nn.sigmoid(row[..., 4:5]),
                kinds - tf.nn.sigmoid(row[..., 5:]),
            ],
            axis=-1,
        )
        return tf.reduce_sum(losses, axis=-1), tf.reduce_sum(tf.square(gradients), axis=-1)

    def _statistics(self, row: Any, boxes: Any, place: Any, learnt: Any, there: Any) -> Any:
        predicted = _box(row, *(tf.gather(a, place) for a in (self.cells, self.sides, self.shapes)))
        common, own, whole = _overlap(predicted, boxes[..., :4])
        iou = common / tf.maximum(own + whole - common, 1e-12)
        kind = tf.gather(tf.nn.sigmoid(row[..., 5:]), tf.cast(boxes[..., 4], tf.int32), batch_dims=2)
        values = [tf.ones_like(iou), iou, kind, tf.nn.sigmoid(row[..., 4]), _over(iou, 0.5), _over(iou, 0.75)]
        scales = len(self.grid.scales)
        chosen = tf.one_hot(tf.gather(self.of_scale, place), scales) * learnt[..., None]  # (n, T, scales)
        sums = tf.einsum("nts,ntv->sv", chosen, tf.stack(values, axis=-1))
        anything = tf.linalg.matvec(tf.one_hot(self.of_scale, scales), tf.reduce_sum(there, axis=0), transpose_a=True)
        return tf.concat([sums, anything[:, None]], axis=-1)


def _box(raw: Any, cells: Any, sides: Any, shapes: Any) -> Any:
    # exp overflows float32 from 89 on; a box e^10 times its anchor is as wrong as a larger one.
    stretch = tf.exp(tf.minimum(raw[..., 2:4], 10.0))
    return tf.concat([(cells + tf.nn.sigmoid(raw[..., :2])) / sides, stretch * shapes], axis=-1)


def _overlap(first: Any, second: Any) -> tuple[Any, Any, Any]:
    """Common area, first's and second's area of boxes given by centre and sides; they broadcast."""
    low = tf.maximum(first[..., :2] - first[..., 2:4] / 2, second[..., :2] - second[..., 2:4] / 2)
    high = tf.minimum(first[..., :2] + first[..., 2:4] / 2, second[..., :2] + second[..., 2:4] / 2)
    common = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    return common, tf.reduce_prod(first[..., 2:4], axis=-1), tf.reduce_prod(second[..., 2:4], axis=-1)


def _over(iou: Any, least: float) -> Any:
    return tf.cast(iou > least, tf.float32)


def _marked(place: Any, learnt: Any, shape: Any) -> Any:
    """(n, P) 1 where some box is learnt."""
    pictures = tf.repeat(tf.range(shape[0]), tf.shape(place)[1])
    where = tf.stack([pictures, tf.reshape(place, [-1])], axis=-1)
    sums = tf.scatter_nd(where, tf.reshape(learnt, [-1]), shape[:2])
    return tf.cast(sums > 0, tf.float32)

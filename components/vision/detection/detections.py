"""What a network finds in pictures: raw predictions become boxes with a class and a score."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from components.vision.detection import geometry
from components.vision.detection.loss import YoloLoss
from components.vision.detection.network import Network

_MOST_CANDIDATES = 1000  # of a picture, before overlapping ones go: an untrained network finds something everywhere


@dataclass(frozen=True)
class Detections:
    """Found in one picture, highest score first: boxes (m, 4) corners 0..1, scores (m,) 0..1, classes (m,) int."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: np.ndarray) -> "Detections":
        """Some of them: a mask or indices."""
        return Detections(self.boxes[rows], self.scores[rows], self.classes[rows])


@dataclass(frozen=True)
class Choice:
    """Which predictions count: see the settings of detect_test."""

    smallest_score: float = 0.005
    nms_iou: float = 0.45
    most_boxes: int = 100


def detect(network: Network, batches: Iterable[np.ndarray], choice: Choice) -> Iterator[Detections]:
    """What a network finds, picture by picture.

    Args:
        network: of any weights.
        batches: (n, height, width, 3) uint8 RGB.
        choice: of the predictions.
    """
    forward = _forward(network)
    for batch in batches:
        boxes, scores = forward(tf.convert_to_tensor(batch))
        yield from (chosen(*found, choice) for found in zip(boxes.numpy(), scores.numpy(), strict=True))


def chosen(boxes: np.ndarray, scores: np.ndarray, choice: Choice) -> Detections:
    """What is left of one picture's predictions.

    Args:
        boxes: (P, 4) centre x, centre y, width, height.
        scores: (P, C) objectness times class; a prediction may count for several classes.
        choice: least score, largest overlap, most boxes of a class.
    """
    place, kind = np.nonzero(scores >= max(choice.smallest_score, 1e-12))
    found = scores[place, kind].astype(np.float64)
    order = np.argsort(-found, kind="stable")[:_MOST_CANDIDATES]
    corners = np.clip(geometry.corners(boxes[place[order]].astype(np.float64)), 0, 1)
    whole = Detections(corners, found[order], kind[order])
    kept = geometry.non_maximum_suppression(whole.boxes, whole.scores, whole.classes, choice.nms_iou)
    return whole.take(_most(kept, whole.classes, choice.most_boxes))


def _most(kept: np.ndarray, classes: np.ndarray, most: int) -> np.ndarray:
    """The first so many of each class, as COCO's evaluation counts them, in the order of the scores."""
    parts = [kept[classes[kept] == kind][:most] for kind in np.unique(classes)]
    return np.sort(np.concatenate([kept[:0], *parts]))


def _forward(network: Network) -> Callable[[Any], tuple[Any, Any]]:
    decode = YoloLoss(network.grid, 1.0).decoded
    _, height, width, _ = network.model.input_shape

    @tf.function(input_signature=[tf.TensorSpec((None, height, width, 3), tf.uint8)], autograph=False)
    def forward(pictures: Any) -> tuple[Any, Any]:
        raw = network.model(pictures, training=False)
        return decode(raw), tf.nn.sigmoid(raw[..., 4:5]) * tf.nn.sigmoid(raw[..., 5:])

    return forward

"""Boxes as arrays: x_min, y_min, x_max, y_max in shares of the picture's sides, y down; and what overlaps what."""

import numpy as np


def area(boxes: np.ndarray) -> np.ndarray:
    """Area of boxes (..., 4); one turned inside out has none."""
    return np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1)


def intersection(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Common area of every pair. Args: (n, 4), (m, 4). Returns: (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=-1)


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair; 0 where both are empty. Args: (n, 4), (m, 4). Returns: (n, m) 0..1."""
    common = intersection(first, second)
    union = area(first)[:, None] + area(second)[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def centred(boxes: np.ndarray) -> np.ndarray:
    """Corners (..., 4) as YOLO has them: centre x, centre y, width, height."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def corners(boxes: np.ndarray) -> np.ndarray:
    """The inverse of `centred`."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def non_maximum_suppression(
    boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, most_overlap: float
) -> np.ndarray:
    """Which boxes stay: greedily the highest score, without those of its class that overlap it by more.

    Args:
        boxes: (n, 4).
        scores: (n,); of equal ones the first counts as the higher.
        classes: (n,) int; different classes do not disturb each other.
        most_overlap: IoU above which the lower score goes.

    Returns:
        (m,) int indices, highest score first.
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, rest = left[0], left[1:]
        kept.append(best)
        near = iou(boxes[best][None], boxes[rest])[0] > most_overlap
        left = rest[~(near & (classes[rest] == classes[best]))]
    return np.array(kept, np.int64)

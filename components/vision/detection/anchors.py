"""Anchors from the boxes themselves: k-means of their widths and heights with 1 - IoU as distance (YOLOv2, 2016)."""

import numpy as np


def shape_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of shapes laid on one another. Args: (n, 2), (m, 2) widths and heights. Returns: (n, m)."""
    common = np.minimum(first[:, None], second[None]).prod(axis=-1)
    return common / (first.prod(axis=-1)[:, None] + second.prod(axis=-1)[None] - common)


def k_means(shapes: np.ndarray, count: int, seed: int, rounds: int = 300) -> np.ndarray:
    """`count` typical shapes, smallest area first.

    Args:
        shapes: (n, 2) widths and heights, above 0, n at least 1; where fewer differ than `count`, some repeat.
        count: of anchors.
        seed: of the start.
        rounds: at most.
    """
    generator = np.random.default_rng([seed, len(shapes)])
    centres = _spread(shapes, count, generator)
    nearest = np.full(len(shapes), -1)
    for _ in range(rounds):
        found = shape_iou(shapes, centres).argmax(axis=1)
        if (found == nearest).all():
            break
        nearest = found
        centres = np.stack(
            [shapes[nearest == k].mean(axis=0) if (nearest == k).any() else centres[k] for k in range(count)]
        )
    return centres[np.argsort(centres.prod(axis=1), kind="stable")]


def _spread(shapes: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Starting points far from each other (k-means++)."""
    centres = shapes[[generator.integers(len(shapes))]]
    while len(centres) < count:
        far = (1 - shape_iou(shapes, centres).max(axis=1)) ** 2
        share = far / far.sum() if far.sum() > 0 else None
        centres = np.concatenate([centres, shapes[[generator.choice(len(shapes), p=share)]]])
    return centres

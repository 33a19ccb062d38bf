"""Anchors from boxes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.vision.detection import anchors


def test_clear_clusters_are_found_smallest_first():
    generator = np.random.default_rng(0)
    centres = np.array([[0.05, 0.1], [0.3, 0.1], [0.4, 0.8]])
    shapes = np.concatenate([centre * generator.uniform(0.95, 1.05, (50, 2)) for centre in centres])
    np.testing.assert_allclose(anchors.k_means(shapes, 3, seed=1), centres, rtol=0.03)


@given(st.integers(1, 30), st.integers(0, 100))
def test_any_boxes_give_as_many_anchors_as_asked_the_same_each_time(count, seed):
    shapes = np.random.default_rng(seed).uniform(0.01, 1, (count, 2))
    found = anchors.k_means(shapes, 6, seed)
    assert found.shape == (6, 2) and np.isfinite(found).all() and (found > 0).all()
    assert (np.diff(found.prod(axis=1)) >= 0).all()
    np.testing.assert_array_equal(found, anchors.k_means(shapes, 6, seed))


def test_more_anchors_fit_no_worse():
    shapes = np.random.default_rng(2).uniform(0.02, 0.9, (300, 2))
    fits = [anchors.shape_iou(shapes, anchors.k_means(shapes, k, seed=0)).max(axis=1).mean() for k in (1, 3, 9)]
    assert fits == sorted(fits)

"""The point of it all: a small detector finds what is drawn on pictures that it has never seen."""

import pytest

from components.artifacts import reference


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_micro_network_learns_drawn_scenes_in_minutes(make_boxes, train):
    ran = train(make_boxes(train=200, validation=40), whole=True, iterations=400, checkpoint_every=200, batch=16)
    assert ran.metrics["valid_ap50"] >= 0.85
    assert reference.read_index(ran.result, "detectors")["metrics"] == ran.metrics

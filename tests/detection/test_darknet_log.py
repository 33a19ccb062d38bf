"""Training logs of both darknets."""

import numpy as np
import pytest

from components.vision.detection import charts, log

PJREDDIE = """
Loaded: 0.000031 seconds
Region 82 Avg IOU: 0.200000, Class: 0.5, Obj: 0.4, No Obj: 0.5, .5R: 0.000000, .75R: 0.000000,  count: 1
Region 94 Avg IOU: -nan, Class: -nan, Obj: -nan, No Obj: 0.445123, .5R: -nan, .75R: -nan,  count: 0
Region 106 Avg IOU: 0.600000, Class: 0.5, Obj: 0.4, No Obj: 0.5, .5R: 0.5, .75R: 0.000000,  count: 3
1: 812.541138, 812.541138 avg, 0.000000 rate, 2.137012 seconds, 64 images
Region 82 Avg IOU: nan, Class: nan, Obj: nan, No Obj: 0.4, .5R: nan, .75R: nan,  count: 0
2: 800.000000, 811.287048 avg, 0.001000 rate, 2.1 seconds, 128 images
"""
V3 = "v3 (mse loss, Normalizer: (iou: 0.75, cls: 1.00)"
ALEXEYAB = f"""
 (next mAP calculation at 1000 iterations)
{V3} Region 82 Avg (IOU: 0.200000), count: 1, class_loss = 1.5, iou_loss = 0.2, total_loss = 1.7
{V3} Region 94 Avg (IOU: 0.600000, GIOU: 0.5), Class: 0.9, Obj: 0.1, .5R: 1, .75R: 0, count: 3, loss = 2.2
{V3} Region 106 Avg (IOU: -nan, GIOU: -nan), Class: -nan, count: 0, loss = 0
 1: 812.541138, 812.541138 avg loss, 0.000000 rate, 2.137012 seconds, 64 images, -1.000000 hours left
{V3} Region 82 Avg (IOU: 0.000000), count: 1, total_loss = 0.25
 2: 800.000000, 811.287048 avg loss, 0.001000 rate, 2.100000 seconds, 128 images, 12.500000 hours left
"""
# Printed by the darknet of Debian 12 (pjreddie's, commit 61c9d02), which trained the network micro on pictures of
# `seamline demo-data boats` with subdivisions=2; the second part is of a log in one file with its errors.
REAL = """
Learning Rate: 0.002, Momentum: 0.9, Decay: 0.0005
Loaded: 0.225493 seconds
Region 16 Avg IOU: -nan, Class: -nan, Obj: -nan, No Obj: 0.455259, .5R: -nan, .75R: -nan,  count: 0
Region 23 Avg IOU: 0.210540, Class: 0.411887, Obj: 0.451015, No Obj: 0.488162, .5R: 0.000000, .75R: 0.000000,  count: 11
Region 16 Avg IOU: -nan, Class: -nan, Obj: -nan, No Obj: 0.456283, .5R: -nan, .75R: -nan,  count: 0
Region 23 Avg IOU: 0.170597, Class: 0.480447, Obj: 0.632923, No Obj: 0.492750, .5R: 0.142857, .75R: 0.000000,  count: 7
1: 47.284302, 47.284302 avg, 0.001000 rate, 4.185403 seconds, 8 images
"""
TORN = """
99: 1.351573, 1.825849 avg, 0.002000 rate, 0.184956 seconds, 396 images
Loaded: 0.000096 seconds
Region 9 Avg IOU: 0.476235, Class: 0.976587, Obj: 0.146042, No Obj: 0.001892, .5R: 0.500000, .75R: 0.000000,  count: 2
100: 0.734254, 1.716690 avg, 0.002000 rate, 0.190200 seconds, 400 Saving weights to backup/detector.backup
Saving weights to backup/detector_100.weights
images
Region 9 Avg IOU: 0.719830, Class: 0.989606, Obj: 0.147766, No ObSaving weights to backup/detector.backup
j: 0.001272, .5R: 1.000000, .75R: 0.333333,  count: 3
101: 0.870884, 1.632109 avg, 0.002000 rate, 0.186695 seconds, 404 images
"""
LOST = """
Region 11 Avg IOU: -nan, Class: nan, Obj: nan, No Obj: nan, .5R: 0.000000, .75R: 0.000000,  count: 6
43: inf, inf avg, 0.002000 rate, 0.000491 seconds, 172 images
44: -nan, -nan avg, 0.002000 rate, 0.000466 seconds, 176 images
"""


def test_what_a_real_darknet_printed():
    found = log.parse(REAL)
    assert (found.iteration[0], found.loss[0], found.rate[0], found.images[0]) == (1, 47.284302, 0.001, 8)
    assert found.iou[0] == pytest.approx((0.210540 * 11 + 0.170597 * 7) / 18), "of both parts"


def test_lines_that_an_error_has_torn_are_passed_over():
    found = log.parse(TORN)
    assert found.iteration.tolist() == [99, 101] and found.loss.tolist() == [1.351573, 0.870884]
    assert found.iou[1] == 0.476235, "of what is whole"


def test_a_training_that_was_lost_is_read_to_its_end():
    found = log.parse(LOST)
    assert found.iteration.tolist() == [43, 44] and np.isinf(found.loss[0]) and np.isnan(found.loss[1])
    assert np.isnan(found.iou).all() and "No data" in charts.loss_chart(found)


@pytest.mark.parametrize("text", [PJREDDIE, ALEXEYAB], ids=["pjreddie", "alexeyab"])
def test_both_dialects_say_the_same(text):
    found = log.parse(text)
    assert found.iteration.tolist() == [1, 2] and found.loss.tolist() == [812.541138, 800.0]
    assert found.average.tolist() == [812.541138, 811.287048] and found.rate.tolist() == [0, 0.001]
    assert found.iou[0] == pytest.approx((0.2 * 1 + 0.6 * 3) / 4), "weighted by count, nan left out"
    assert np.isnan(found.iou[1]), "no box fell to any scale"


def test_a_loss_that_is_no_number_is_read_and_left_out_of_charts():
    found = log.parse(
        "7: -nan, nan avg, 1e-3 rate, 1.0 seconds, 448 images\n8: 1e2, 3 avg, 0.1 rate, 1 seconds, 9 images"
    )
    assert np.isnan(found.loss[0]) and found.loss[1] == 100 and found.rate[0] == 1e-3
    assert log.smoothed(found.loss, 2).tolist() == [100.0]
    assert "nan" not in charts.loss_chart(found) + charts.iou_chart(found)


def test_what_was_trained_again_after_a_kill_counts_once():
    line = "{}: {}, 1.0 avg, 0.1 rate, 1.0 seconds, 64 images\n"
    found = log.parse("".join(line.format(*pair) for pair in [(1, 5), (2, 4), (3, 3), (2, 2), (3, 1)]))
    assert found.iteration.tolist() == [1, 2, 3] and found.loss.tolist() == [5, 2, 1]


def test_our_own_lines_are_read_back():
    region = log.region_line(82, [4, 2, 3, 1, 2, 1, 30], 300)
    nothing = log.region_line(94, [0, 0, 0, 0, 0, 0, 30], 300)
    assert "Avg IOU: 0.500000, Class: 0.750000, Obj: 0.250000, No Obj: 0.100000, .5R: 0.500000" in region
    assert "Avg IOU: nan" in nothing and nothing.endswith("count: 0")
    found = log.parse(log.text([region, nothing, log.iteration_line(12, 3.5, 4.25, 0.001, 2.0, 768)]))
    assert (found.iteration[0], found.loss[0], found.average[0], found.iou[0]) == (12, 3.5, 4.25, 0.5)


def test_the_average_is_darknets():
    assert log.running_average([100, 50, 0]) == pytest.approx([100, 95, 85.5])


def test_a_text_without_a_log_has_no_iteration():
    assert len(log.parse("layer     filters    size\n Total BFLOPS 65.290\n")) == 0
    assert "No data" in charts.loss_chart(log.parse(""))


def test_a_damaged_line_says_nothing():
    found = log.parse("1: 1.2.3, 1 avg, 1e-3 rate, 1.0 seconds, 64 images\nRegion 82 Avg IOU: 0.1.2, count: 3\n")
    assert len(found) == 0 and "No data" in charts.loss_chart(found)

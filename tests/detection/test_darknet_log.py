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
{V3} Region 82 Avg (IOU: 0.000000, GIOU: 0.0), Class: 0.0, count: 0, loss = 0
 2: 800.000000, 811.287048 avg loss, 0.001000 rate, 2.100000 seconds, 128 images, 12.500000 hours left
"""


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

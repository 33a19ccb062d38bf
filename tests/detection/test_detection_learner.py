"""A batch in parts, or over several GPUs, teaches what the whole batch would."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from components.vision import learner as learners
from components.vision.detection import cfg, network
from components.vision.detection.learner import Batch, DetectionLearner, make_optimiser
from components.vision.detection.loss import YoloLoss

# Without batch normalisation, whose statistics are those of a part, the sums are exactly the same.
PLAIN = """
[net]
width=32
height=32
[convolutional]
filters=4
size=3
stride=4
pad=1
activation=leaky
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,1
anchors=8,8, 16,16
classes=2
num=2
"""


def batch() -> Batch:
    generator = np.random.default_rng(0)
    boxes = np.concatenate([generator.uniform(0.1, 0.9, (6, 3, 4)), generator.integers(0, 2, (6, 3, 1))], axis=2)
    weights = (generator.random((6, 3)) < 0.7).astype(np.float32)
    return Batch(generator.integers(0, 256, (6, 32, 32, 3), np.uint8), boxes.astype(np.float32), weights)


def learnt(subdivisions: int, devices: list[str] | None = None) -> tuple[list[float], Any, list[np.ndarray]]:
    """Costs and statistics of three steps, and the weights after them."""
    strategy = learners.strategy_of(devices)
    with strategy.scope():
        made = network.build(cfg.parse(PLAIN), seed=1)
        optimiser = make_optimiser(made.model, "sgd", "float32", weight_decay=1e-3, clip_norm=0.0)
    pupil = DetectionLearner(made, YoloLoss(made.grid, 0.5), optimiser, strategy, subdivisions=subdivisions, ema=0.9)
    found = [pupil.step(batch(), 0.01, number) for number in range(3)]
    kernels = [convolution["kernel"] for convolution in pupil.convolutions()]
    return [float(cost) for cost, _ in found], found[-1][1].numpy(), kernels


def assert_same(one: Any, other: Any) -> None:
    np.testing.assert_allclose(one[0], other[0], rtol=1e-4)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-3, atol=1e-4)
    for first, second in zip(one[2], other[2], strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("parts", [2, 6])
def test_a_batch_in_parts_teaches_what_the_whole_does(parts):
    whole = learnt(1)
    assert whole[0][-1] < whole[0][0]
    assert_same(whole, learnt(parts))


SCRIPT = """
import importlib.util, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
spec = importlib.util.spec_from_file_location("this", {path!r})
this = importlib.util.module_from_spec(spec)
spec.loader.exec_module(this)
for parts in (1, 2):
    this.assert_same(this.learnt(1), this.learnt(parts, ["CPU:0", "CPU:1"]))
print("equal")
"""


@pytest.mark.slow
def test_two_gpus_teach_what_one_does():
    """Played by two logical CPUs in a process of its own: their number is fixed when TensorFlow starts."""
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(path=__file__)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("equal\n")

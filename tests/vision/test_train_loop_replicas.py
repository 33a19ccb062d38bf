"""Several GPUs, played by two logical CPUs in a process of its own: their number is fixed when TensorFlow starts."""

import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np, tensorflow as tf, keras
from keras import layers
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from components.vision import learner, small_networks
from components.vision import model as models
from components.vision.batches import Batch
# Without batch normalisation, whose statistics are per replica, two replicas compute exactly what one does.
def plain(x, name):
    return layers.GlobalMaxPooling2D()(layers.Conv2D(8, 3, activation="relu")(x))
small_networks.NETWORKS["plain"] = plain
generator = np.random.default_rng(0)
targets = np.eye(3, dtype=np.float32)[generator.integers(0, 3, 9)]
batch = Batch(generator.integers(0, 256, (9, 12, 12, 3), np.uint8), targets, np.linspace(0.2, 1, 9, dtype=np.float32))
found = []
for devices in (None, ["CPU:0", "CPU:1"]):
    strategy = learner.strategy_of(devices)
    print(strategy.num_replicas_in_sync, "replicas")
    with strategy.scope():
        model = models.build("plain", 12, 3, seed=4)
        optimiser = learner.make_optimiser(model, "adam", 0.5, "float32", weight_decay=1e-3, clip_norm=0.0)
    pupil = learner.Learner(model, optimiser, strategy, l2=1e-3, ema=0.9)
    losses = []
    for frozen in (True, False):
        pupil.begin_stage(frozen=frozen)
        losses += [[float(value) for value in pupil.step(batch, 0.01, number)] for number in range(3)]
    state = pupil.state()
    pupil.restore(state)
    logits = pupil.evaluate([batch.pictures])
    found.append((np.array(losses), pupil.weights(), logits, pupil.state()))
one, two = found
np.testing.assert_allclose(one[0], two[0], rtol=1e-4)
np.testing.assert_allclose(one[2], two[2], rtol=1e-3, atol=1e-4)
for name in one[1]:
    np.testing.assert_allclose(one[1][name], two[1][name], rtol=1e-3, atol=1e-5, err_msg=name)
assert one[3].keys() == two[3].keys()
print("equal")
"""


@pytest.mark.slow
def test_two_replicas_learn_what_one_learns():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "1 replicas" in done.stdout and "2 replicas" in done.stdout and done.stdout.endswith("equal\n")

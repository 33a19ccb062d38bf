"""What is kept of a learner: the moving average of its weights, and everything the next step depends on."""

import numpy as np
import pytest
from keras import layers

from components.vision import learner, small_networks
from components.vision import model as models
from components.vision.batches import Batch

RATE = 0.05


@pytest.fixture
def pupil(monkeypatch: pytest.MonkeyPatch):
    """A learner of three classes on 12 px pictures, averaging with 0.5, whose network normalises and drops out."""

    def tiny(x, name):
        x = layers.BatchNormalization()(layers.Conv2D(4, 3)(x))
        return layers.GlobalMaxPooling2D()(layers.Dropout(0.3, seed=1)(x))

    monkeypatch.setitem(small_networks.NETWORKS, "tiny", tiny)

    def make(ema: float = 0.5) -> learner.Learner:
        model = models.build("tiny", 12, 3, seed=4)
        optimiser = learner.make_optimiser(model, "adam", 1.0, "float32", weight_decay=0.0, clip_norm=0.0)
        made = learner.Learner(model, optimiser, learner.strategy_of(), l2=0.0, ema=ema)
        made.begin_stage(frozen=False)
        return made

    return make


@pytest.fixture
def batch() -> Batch:
    generator = np.random.default_rng(0)
    targets = np.eye(3, dtype=np.float32)[generator.integers(0, 3, 9)]
    return Batch(generator.integers(0, 256, (9, 12, 12, 3), np.uint8), targets, np.ones(9, np.float32))


def own(pupil: learner.Learner) -> list[np.ndarray]:
    return [np.array(w) for w in pupil.model.weights]


def test_the_average_follows_the_weights_fast_at_first_and_with_its_knob_later(pupil, batch):
    pupil = pupil(ema=0.5)
    expected = own(pupil)
    for number in range(12):
        pupil.step(batch, RATE, number)
        keep = min(0.5, (1 + number) / (10 + number))
        expected = [a * keep + w * (1 - keep) for a, w in zip(expected, own(pupil), strict=True)]
    kept = list(pupil.weights().values())
    for found, wanted in zip(kept, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert any(not np.allclose(a, w) for a, w in zip(kept, own(pupil), strict=True))


def test_judging_uses_the_average_and_leaves_the_weights_that_learn_alone(pupil, batch):
    pupil = pupil(ema=0.9)
    for number in range(5):
        pupil.step(batch, RATE, number)
    before = own(pupil)
    judged = pupil.evaluate([batch.pictures])
    for now, then in zip(own(pupil), before, strict=True):
        np.testing.assert_array_equal(now, then)
    averaged = models.build("tiny", 12, 3)
    models.import_weights(averaged, pupil.weights(), "the average")
    np.testing.assert_allclose(judged, averaged(batch.pictures, training=False), rtol=1e-5, atol=1e-5)
    assert not np.allclose(judged, pupil.model(batch.pictures, training=False), atol=1e-3)


def test_without_an_average_the_weights_themselves_are_kept(pupil, batch):
    pupil = pupil(ema=0.0)
    pupil.step(batch, RATE, 0)
    for found, weight in zip(pupil.weights().values(), own(pupil), strict=True):
        np.testing.assert_array_equal(found, weight)


def test_a_restored_state_takes_the_same_next_step_dropout_included(pupil, batch):
    learner.prepare_tensorflow(1)
    first, second = pupil(), pupil()
    for number in range(3):
        first.step(batch, RATE, number)
    second.restore(first.state())
    steps = [[float(value) for value in one.step(batch, RATE, 3)] for one in (first, second)]
    assert steps[0] == steps[1]
    for name, value in first.state().items():
        np.testing.assert_array_equal(value, second.state()[name], err_msg=name)


def test_a_state_of_another_network_does_not_fit(pupil):
    state = pupil().state()
    assert pupil().fits(state) and not pupil(ema=0.0).fits(state)
    state["model/0000"] = state["model/0000"][:1]
    assert not pupil().fits(state)

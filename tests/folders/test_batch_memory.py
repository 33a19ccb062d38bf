"""What a batch takes, estimated: more of anything never takes less, and what cannot fit is refused with a way out."""

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import SettingsError
from components.vision import learner, memory, model
from components.vision.memory import Footprint

COUNTS = st.integers(1, 2**40)


@pytest.fixture
def pupil():
    def make(size_px=32, policy="float32", backbone="tiny_cnn", ema=0.0, optimiser="adam"):
        with model.precision_policy(policy):
            made = model.build(backbone, size_px, 3)
            chosen = learner.make_optimiser(made, optimiser, 1.0, policy, weight_decay=0.0, clip_norm=0.0)
        return learner.Learner(made, chosen, learner.strategy_of(), l2=0.0, ema=ema)

    return make


@given(COUNTS, COUNTS, st.integers(1, 2**12), st.integers(0, 2**12))
def test_a_larger_batch_never_takes_less(fixed, per_picture, batch, more):
    footprint = Footprint(fixed, per_picture)
    assert footprint.of(batch + more) >= footprint.of(batch) > fixed


@given(COUNTS, COUNTS, COUNTS)
def test_the_suggested_batch_fits_and_twice_as_many_do_not(fixed, per_picture, room):
    footprint = Footprint(fixed, per_picture)
    fits = footprint.largest(room)
    assert footprint.of(2 * fits or 1) > room
    if fits:
        assert footprint.of(fits) <= room
        assert fits & (fits - 1) == 0, "a power of two"


def test_the_layers_of_a_network_are_counted_by_hand():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    inner = keras.Model(inputs, keras.layers.Dense(5)(x))
    outer = keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))
    assert memory.num_activations(outer) == 4 * 4 * 4 + 4 + 5 + 2


def test_larger_pictures_averages_and_moments_take_more_and_half_precision_about_half(pupil):
    plain = memory.footprint(pupil())
    assert memory.footprint(pupil(size_px=64)).per_picture > 3 * plain.per_picture
    assert memory.footprint(pupil(ema=0.9)).fixed > plain.fixed
    assert memory.footprint(pupil(optimiser="sgd")).fixed < plain.fixed
    half = memory.footprint(pupil(policy="mixed_bfloat16"))
    assert half.per_picture / plain.per_picture == pytest.approx(0.5, abs=0.03)


def test_a_batch_far_beyond_the_memory_is_refused_with_one_that_fits(pupil):
    made = pupil()
    footprint = memory.footprint(made)
    room = footprint.of(100)
    with pytest.raises(
        SettingsError, match=r"batch_size=256 takes about .* GB of the .* GB of memory; set batch_size=64"
    ):
        memory.check_batch(made, 256, memory=room)


def test_a_batch_little_beyond_the_memory_is_only_warned_of(pupil, capsys):
    made = pupil()
    memory.check_batch(made, 120, memory=memory.footprint(made).of(100))
    assert "warning: batch_size=120" in capsys.readouterr().out
    memory.check_batch(made, 64, memory=memory.footprint(made).of(100))
    assert "warning" not in capsys.readouterr().out


def test_pictures_that_are_kept_take_their_memory(pupil, capsys):
    made = pupil()
    room = memory.footprint(made).of(100)
    memory.check_batch(made, 64, memory=room)
    assert "kept" not in capsys.readouterr().out
    memory.check_batch(made, 64, memory=room, kept_bytes=room // 2)
    assert "warning: batch_size=64" in capsys.readouterr().out
    with pytest.raises(
        SettingsError, match="of it pictures kept decoded; set cache_mb=0, .* and batch_size=64 or less"
    ):
        memory.check_batch(made, 64, memory=room, kept_bytes=2 * room)


def test_replicas_share_a_batch_and_its_suggestion(pupil):
    made = pupil()
    room = memory.footprint(made).of(100)
    memory.check_batch(made, 200, replicas=2, memory=room)
    with pytest.raises(SettingsError, match="set batch_size=128"):
        memory.check_batch(made, 600, replicas=2, memory=room)


def test_where_not_one_picture_fits_the_advice_is_smaller_pictures(pupil):
    with pytest.raises(SettingsError, match="even one picture does not fit: lower preprocess.size_px"):
        memory.check_batch(pupil(), 8, memory=1000)


def test_an_unknown_memory_refuses_nothing(pupil):
    memory.check_batch(pupil(), 2**30, memory=0)


def test_this_machine_says_how_much_it_has():
    assert memory.available() > 2**28

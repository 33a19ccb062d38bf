"""The small networks: shapes, sizes as documented, and that each of them learns."""

import re

import keras
import numpy as np
import pytest

from components.vision import small_networks

NAMES = sorted(small_networks.NETWORKS)


def built(name: str, side: int) -> keras.Model:
    inputs = keras.Input((side, side, 3))
    return keras.Model(inputs, small_networks.build(name, inputs))


@pytest.mark.parametrize("name", NAMES)
def test_a_network_gives_flat_features_at_any_side(name: str) -> None:
    small, large = built(name, 24), built(name, 65)
    assert small.output_shape == large.output_shape and len(small.output_shape) == 2
    assert small.count_params() == large.count_params()
    features = small(np.random.default_rng(0).random((2, 24, 24, 3), dtype=np.float32), training=False).numpy()
    assert np.isfinite(features).all() and features.std() > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_number_of_weights_is_true(name: str) -> None:
    trainable = sum(int(np.prod(w.shape)) for w in built(name, 28).trainable_weights)
    said = re.search(r"([\d,]+) weights", small_networks.NETWORKS[name].__doc__ or "")
    assert said is not None and int(said[1].replace(",", "")) == trainable


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'small_cn' is not a small network; give one of small_cnn, small_resnet"):
        small_networks.build("small_cn", keras.Input((28, 28, 3)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_network_learns_where_a_bright_square_lies(name: str) -> None:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    tall = rng.integers(0, 2, 128)
    pictures = rng.random((128, 24, 24, 3), dtype=np.float32) * 0.3
    for picture, is_tall in zip(pictures, tall, strict=True):
        picture[4 : 20 if is_tall else 10, 4 : 10 if is_tall else 20] = 1.0
    model = keras.Sequential([built(name, 24), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    history = model.fit(pictures, tall, batch_size=16, epochs=4, verbose=0).history
    assert history["accuracy"][-1] > 0.95

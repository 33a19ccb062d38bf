"""FLOPs: a case counted by hand, a published figure, and layers inside of layers."""

import keras
import pytest
from keras import layers

from components.vision import complexity
from components.vision import model as models


def test_a_network_counted_by_hand() -> None:
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)  # 8 x 8 places, 3 x 3 x 3 x 4 weights
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(5, strides=2, padding="same")(x)  # 4 x 4 places, 5 x 5 x 4 weights
    x = layers.Conv2D(6, 1)(x)  # 4 x 4 places, 4 x 6 weights
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(10)(x))  # 6 x 10 weights
    by_hand = 64 * 108 + 16 * 100 + 16 * 24 + 60
    assert complexity.flops(model) == 2 * by_hand
    nested = keras.Sequential([keras.Input((8, 8, 3)), model])
    assert complexity.flops(nested) == 2 * by_hand


def test_mobilenet_v2_has_the_multiply_adds_of_its_paper() -> None:
    model = models.build("MobileNetV2", 224, 1000)
    assert complexity.flops(model) / 2 == pytest.approx(300e6, rel=0.01)  # Sandler et al. 2018, table 4


def test_frozen_layers_count_too() -> None:
    model = models.build("lean_17k", 24, 10)
    free = complexity.flops(model)
    models.part(model, "backbone").trainable = False
    assert complexity.flops(model) == free > 0


def test_both_kernels_of_a_separable_convolution_count() -> None:
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=2)(inputs))
    assert complexity.flops(model) == 2 * 16 * (9 * 6 + 6 * 5)  # 4 x 4 places


def test_a_layer_that_uses_its_kernels_in_an_unknown_way_is_refused() -> None:
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, layers.MultiHeadAttention(1, 2)(inputs, inputs))
    with pytest.raises(NotImplementedError, match="is a MultiHeadAttention; count its multiply-adds here"):
        complexity.flops(model)

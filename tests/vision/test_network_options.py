"""Each option of an own network, looked up in the layers that are built: it is there, others of its kind are not."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from components.vision import complexity, network, zoo
from components.vision.network import ACTIVATIONS, INITIALISERS, Network

# The first stage is one layer; the second has two blocks of two, so four of the layers that the options are about.
STAGES = [{"filters": 4, "stride": 2}, {"filters": 8, "stride": 2, "blocks": 2, "pool": 2}]
NUM_STAGES, NUM_BLOCKS, NUM_LAYERS = 2, 2, 4
PLAIN = {"connection": "none", "convolution": "full"}

POOLS = (layers.MaxPooling2D, layers.AveragePooling2D)
NORMALISATIONS = (layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization)
WITH_KERNEL = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)


def model_of(**options: Any) -> keras.Model:
    inputs = keras.Input((32, 32, 3))
    return keras.Model(inputs, zoo.build(network.of("lean_17k", {"stages": STAGES} | options), inputs))


def built(kinds: type | tuple[type, ...], **options: Any) -> list[Any]:
    return [layer for layer in model_of(**options).layers if isinstance(layer, kinds)]


def classes(found: Iterable[Any]) -> list[type]:
    return [type(layer) for layer in found]


@pytest.mark.parametrize("connection", ["none", "residual", "dense", "inception"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_activation_asked_for_is_the_only_one_also_after_the_dense_layer(activation: str, connection: str) -> None:
    found = model_of(activation=activation, connection=connection, hidden=5).layers
    asked = keras.activations.get(activation)
    assert {layer.activation for layer in found if isinstance(layer, layers.Activation)} == {asked}
    assert {layer.activation for layer in found if isinstance(layer, WITH_KERNEL)} == {keras.activations.linear}
    assert classes(found[-2:]) == [layers.Dense, layers.Activation]


def test_every_layer_is_activated() -> None:
    assert len(built(layers.Activation, **PLAIN)) == 1 + NUM_LAYERS


@pytest.mark.parametrize("convolution", ["full", "separable", "blueprint"])
@pytest.mark.parametrize("initialiser", INITIALISERS)
def test_every_kernel_is_drawn_from_the_initialiser_asked_for(initialiser: str, convolution: str) -> None:
    found = built(WITH_KERNEL, initialiser=initialiser, convolution=convolution, connection="dense", hidden=5)
    drawn = [getattr(layer, "depthwise_initializer", None) or layer.kernel_initializer for layer in found]
    assert set(classes(drawn)) == {type(keras.initializers.get(initialiser))}
    depthwise = [layer for layer in found if isinstance(layer, layers.DepthwiseConv2D)]
    assert len(depthwise) == (0 if convolution == "full" else NUM_LAYERS)


@pytest.mark.parametrize(
    ("down", "strides", "pools"),
    [
        ("own", [2, 2], [(layers.MaxPooling2D, 2)]),
        ("stride", [2, 4], []),
        ("max", [], [(layers.MaxPooling2D, 2), (layers.MaxPooling2D, 4)]),
        ("average", [], [(layers.AveragePooling2D, 2), (layers.AveragePooling2D, 4)]),
    ],
)
@pytest.mark.parametrize("convolution", ["full", "separable", "blueprint"])
def test_the_side_shrinks_as_asked(down: str, strides: list[int], pools: list[Any], convolution: str) -> None:
    found = model_of(down=down, connection="none", convolution=convolution).layers
    assert [(type(pool), pool.pool_size[0]) for pool in found if isinstance(pool, POOLS)] == pools
    with_stride = (layer.strides for layer in found if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D))
    assert [pair for pair in with_stride if pair != (1, 1)] == [(stride, stride) for stride in strides]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("average", layers.GlobalAveragePooling2D),
        ("max", layers.GlobalMaxPooling2D),
        ("flatten", layers.Flatten),
    ],
)
def test_maps_become_features_by_the_head_asked_for(head: str, expected: type) -> None:
    heads = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.Flatten)
    assert classes(built(heads, head=head)) == [expected]
    assert classes(model_of(head=head).layers)[-1] is expected


@pytest.mark.parametrize(
    ("normalisation", "expected"),
    [
        ("batch", layers.BatchNormalization),
        ("layer", layers.LayerNormalization),
        ("group", layers.GroupNormalization),
    ],
)
def test_every_layer_is_normalised_as_asked_and_has_no_bias(normalisation: str, expected: type) -> None:
    found = built((*NORMALISATIONS, layers.Conv2D), normalisation=normalisation, **PLAIN)
    assert classes(found) == [layers.Conv2D, expected] * (1 + NUM_LAYERS)
    assert not any(layer.use_bias for layer in found if isinstance(layer, layers.Conv2D))


@pytest.mark.parametrize("convolution", ["full", "separable", "blueprint"])
def test_without_normalisation_every_layer_has_one_bias(convolution: str) -> None:
    found = built((*NORMALISATIONS, *WITH_KERNEL), normalisation="none", connection="none", convolution=convolution)
    assert not any(isinstance(layer, NORMALISATIONS) for layer in found)
    assert sum(layer.use_bias for layer in found) == 1 + NUM_LAYERS


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ("none", []),
        ("residual", [layers.Add] * NUM_BLOCKS),
        ("dense", [layers.Concatenate] * NUM_BLOCKS),
        ("inception", [layers.Concatenate] * NUM_LAYERS),
    ],
)
def test_blocks_are_connected_as_asked(connection: str, expected: list[type]) -> None:
    assert classes(built((layers.Add, layers.Concatenate), connection=connection)) == expected


@pytest.mark.parametrize(
    ("convolution", "expected"),
    [
        ("full", [(layers.Conv2D, 3)]),
        ("separable", [(layers.DepthwiseConv2D, 3), (layers.Conv2D, 1)]),
        ("blueprint", [(layers.Conv2D, 1), (layers.DepthwiseConv2D, 3)]),
    ],
)
def test_all_layers_but_the_first_convolve_as_asked(convolution: str, expected: list[Any]) -> None:
    found = built((layers.Conv2D, layers.DepthwiseConv2D), convolution=convolution, connection="none")
    kinds = [(type(layer), layer.kernel_size[0]) for layer in found]
    assert kinds == [(layers.Conv2D, 3), *expected * NUM_LAYERS]


def test_maps_are_dropped_once_a_stage_and_only_where_that_is_asked() -> None:
    dropping = (layers.Dropout, layers.SpatialDropout2D)
    found = built(dropping, dropout=0.3)
    assert [(type(layer), layer.rate) for layer in found] == [(layers.SpatialDropout2D, 0.3)] * NUM_STAGES
    assert not built(dropping, dropout=0.0)


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("unit", None),
        ("centre", {"scale": 2.0, "offset": -1.0}),
        ("picture", {"axis": [1, 2, 3], "center": False, "scale": False}),
        ("batch", {"axis": -1, "center": False, "scale": False}),
    ],
)
def test_the_input_is_scaled_as_asked(scaling: str, expected: dict[str, Any] | None) -> None:
    first = model_of(scaling=scaling).layers[1]
    classes_of = {"centre": layers.Rescaling, "picture": layers.LayerNormalization, "batch": layers.BatchNormalization}
    assert type(first) is classes_of.get(scaling, layers.Conv2D)
    assert expected is None or expected.items() <= first.get_config().items()


def test_a_dense_layer_stands_before_the_logits_only_where_that_is_asked() -> None:
    assert [layer.units for layer in built(layers.Dense, hidden=7)] == [7]
    assert not built(layers.Dense, hidden=0)


def test_a_block_has_as_many_layers_as_asked() -> None:
    assert [len(built(layers.Conv2D, layers=count, **PLAIN)) for count in (1, 3)] == [
        1 + NUM_BLOCKS,
        1 + 3 * NUM_BLOCKS,
    ]


def test_inception_by_hand() -> None:
    """Four branches of 10 filters: 4 of 1 x 1, 2 of 3 x 3, 2 of 5 x 5, and 2 of 1 x 1 after a pool."""
    inputs = keras.Input((9, 9, 3))
    stages = [{"filters": 4}, {"filters": 10, "stride": 2}]
    options = {"convolution": "full", "connection": "inception", "normalisation": "none"}
    model = keras.Model(inputs, zoo.build(Network(stages=stages, **options), inputs))
    branches = model.layers[-3].input
    assert [branch.shape for branch in branches] == [(None, 5, 5, width) for width in (4, 2, 2, 2)]
    first, module = 9 * 3 * 4, 4 * (4 + 9 * 2 + 25 * 2 + 2)
    assert model.count_params() == first + 4 + module + 10
    assert complexity.flops(model) == 2 * (9 * 9 * first + 5 * 5 * module)
    assert np.isfinite(model(np.ones((1, 9, 9, 3), np.float32)).numpy()).all()

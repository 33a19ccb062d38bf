"""A model: backbone, global average pooling, dropout and a dense head, its outputs as `tasks` counts them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import layers

from components.errors import DataError
from components.vision import backbones

PARTS = ("backbone", "head")


def build(
    backbone: str,
    size_px: int,
    num_outputs: int,
    *,
    weights: str = "none",
    network: Mapping[str, Any] | None = None,
    dropout: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """A classifier with fresh or pretrained weights; the same arguments give the same weights.

    Args:
        backbone: a name of `backbones.names()`.
        size_px: side of the square pictures.
        num_outputs: numbers that the head gives for a picture, see `tasks.Task`.
        weights, network: see `backbones.build`.
        dropout: share of features dropped while training, 0..1.
        seed: of the initial weights and the dropout.

    Returns:
        A Keras model from pictures (n, size_px, size_px, 3) uint8 RGB to outputs (n, num_outputs) float32, whatever the
        precision policy; its sub-models are named `backbone` and `head`.
    """
    keras.utils.set_random_seed(seed)
    body = backbones.build(backbone, size_px, weights, network)
    maps = keras.Input(body.output_shape[1:], name="features")
    pooled = layers.GlobalAveragePooling2D()(maps) if len(maps.shape) == 4 else maps
    pooled = layers.Dropout(dropout, seed=seed)(pooled)
    head = keras.Model(maps, layers.Dense(num_outputs, dtype="float32", name="logits")(pooled), name="head")
    pictures = keras.Input((size_px, size_px, 3), dtype="uint8", name="pictures")
    return keras.Model(pictures, head(body(layers.Rescaling(1.0, dtype="float32")(pictures))))


@contextmanager
def precision_policy(name: str) -> Iterator[None]:
    """Layers made inside compute in that policy (`float32`, `mixed_float16`, `mixed_bfloat16`)."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def part(model: keras.Model, name: str) -> keras.Model:
    """The sub-model `backbone` or `head`."""
    return model.get_layer(name)


def export_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights under names that do not depend on how many models the process has built before.

    Returns:
        `part/position/kind` (`backbone/0007/kernel`) to array, in float32 for every precision policy.
    """
    found = {}
    for name in PARTS:
        for position, weight in enumerate(part(model, name).weights):
            found[f"{name}/{position:04d}/{weight.path.rsplit('/', 1)[-1]}"] = keras.ops.convert_to_numpy(weight.value)
    return found


def import_weights(model: keras.Model, arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Sets what `export_weights` gave. Raises DataError, naming `where`, if it is another network's."""
    for name in PARTS:
        own = [arrays[key] for key in sorted(arrays) if key.startswith(f"{name}/")]
        if not own:
            raise DataError(f"{where} has no weights of the {name}; expected a checkpoint of the train step")
        backbones.assign(part(model, name), own, f"{where} ({name})")


def describe(model: keras.Model) -> dict[str, Any]:
    """Size of a model: parameters and bytes of its weights."""
    return {"parameters": int(model.count_params()), "bytes": int(sum(np.prod(w.shape) * 4 for w in model.weights))}

"""Using a checkpoint: rebuild its model, run pictures through it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.artifacts import checkpoint
from components.vision import model as models
from components.vision import tasks

BATCH = 128


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint ready for use.

    Attributes:
        model: pictures (n, size_px, size_px, 3) uint8 RGB to outputs (n, outputs) float32.
        classes: the K class names, in the order of the labels.
        about: what the weights file says: settings, backbone, attribute, views and so on.
    """

    model: keras.Model
    classes: list[str]
    size_px: int
    about: dict[str, Any]


def load(checkpoint_reference: str) -> LoadedModel:
    """Rebuilds the model of a checkpoint, in float32.

    Args:
        checkpoint_reference: a reference of kind `checkpoints`, or the path of a `weights.safetensors`.

    Raises:
        DataError: no such checkpoint, or weights that do not fit the backbone they name.
    """
    arrays, about = checkpoint.read_weights(checkpoint_reference)
    num_outputs, network = tasks.of(about).num_outputs(len(about["classes"])), about.get("settings", {}).get("network")
    model = models.build(about["backbone"], about["size_px"], num_outputs, network=network)
    models.import_weights(model, arrays, checkpoint_reference)
    return LoadedModel(model, about["classes"], about["size_px"], about)


def logits(model: keras.Model, pictures: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
    """Runs pictures through a model in inference mode.

    Args:
        model: as in LoadedModel.
        pictures: one array (n, S, S, 3) uint8 RGB, or an iterable of such batches (what a memory can hold at once).

    Returns:
        (n, outputs) float64, unnormalised, in the order given.
    """
    batches = _cut(pictures) if isinstance(pictures, np.ndarray) else pictures
    forward = forward_function(model)
    found = [forward(tf.convert_to_tensor(batch, tf.uint8)).numpy().astype(np.float64) for batch in batches]
    return np.concatenate(found) if found else np.zeros((0, model.output_shape[-1]))


def forward_function(model: keras.Model) -> Any:
    """The compiled forward pass of a model, made once per model: a graph for any batch size."""
    made = getattr(model, "_seamline_forward", None)
    if made is None:
        shape = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
        made = tf.function(lambda batch: model(batch, training=False), input_signature=[shape], jit_compile=False)
        object.__setattr__(model, "_seamline_forward", made)
    return made


def _cut(pictures: np.ndarray) -> Iterable[np.ndarray]:
    return (pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH))

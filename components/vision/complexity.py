"""How large a network is: its weights, and the arithmetic of one picture.

FLOPs are counted as in the papers on small networks, twice the multiply-adds of convolutions and dense layers: each
weight of a kernel is used once for every place of the layer's output. Biases, normalisation, activations, pooling and
resizing are left out; they are a few per cent of the arithmetic of all networks here.
"""

from collections.abc import Iterator

import keras
import numpy as np
from keras import layers

_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)  # both of its kernels meet every place of the output


def flops(model: keras.Model) -> int:
    """FLOPs of one picture through a model, nested models included.

    Raises:
        NotImplementedError: a layer with kernels of which this does not know how often they are used.
    """
    return sum(2 * _multiply_adds(layer) for layer in _leaves(model))


def _leaves(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        yield from _leaves(layer) if isinstance(layer, keras.Model) else (layer,)


def _multiply_adds(layer: keras.Layer) -> int:
    kernels = [weight for weight in layer.weights if "kernel" in weight.name]
    if not kernels:
        return 0
    if (len(kernels) > 1 and not isinstance(layer, _SEPARABLE)) or not hasattr(layer, "output"):
        raise NotImplementedError(f"{layer.name} is a {type(layer).__name__}; count its multiply-adds here")
    places = np.prod(layer.output.shape[1:-1], dtype=np.int64)
    return int(places * sum(np.prod(kernel.shape, dtype=np.int64) for kernel in kernels))

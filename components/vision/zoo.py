"""Builds the networks of `components.vision.network` in Keras.

A convolution carries a bias only where nothing normalises it. The shortcut of a residual block has no weights: maps are
averaged down and missing channels are zeros (He et al. 2016, arXiv:1512.03385, option A), so that with and without it
a network has the same number of weights.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import KerasTensor, layers

from components.vision.network import INCEPTION_BRANCHES, Network, Stage, stages_of

_SMALLEST_POOLED = 2  # px: a pool below would leave nothing to look at


def build(network: Network, inputs: KerasTensor) -> KerasTensor:
    """Puts a network on top of `inputs`.

    Args:
        network: with at least one stage; its resize_px is the caller's business.
        inputs: (batch, side, side, 3) float32 in [0, 1].

    Returns:
        (batch, features) float tensor of the global dtype policy's compute type.
    """
    x = _SCALINGS[network.scaling](inputs)
    maker, is_first = _Maker(network), True
    for stage in stages_of(network):
        x, is_first = maker.stage(x, stage, is_first=is_first), False
    x = _HEADS[network.head]()(x)
    return maker.hidden(x) if network.hidden else x


@dataclass(frozen=True)
class _Maker:
    """Layers as one network wants them."""

    network: Network

    def stage(self, x: KerasTensor, stage: Stage, *, is_first: bool) -> KerasTensor:
        for block in range(stage.blocks):
            x = self._block(x, stage, stage.stride if block == 0 else 1, is_first=is_first and block == 0)
        if stage.pool > 1 and x.shape[1] > _SMALLEST_POOLED:
            pooling = layers.AveragePooling2D if self.network.down == "average" else layers.MaxPooling2D
            x = pooling(stage.pool, padding="same")(x)
        return layers.SpatialDropout2D(self.network.dropout)(x) if self.network.dropout else x

    def hidden(self, x: KerasTensor) -> KerasTensor:
        x = layers.Dense(self.network.hidden, kernel_initializer=self.network.initialiser)(x)
        return layers.Activation(self.network.activation)(x)

    def _block(self, x: KerasTensor, stage: Stage, stride: int, *, is_first: bool) -> KerasTensor:
        # The first layer of a network makes channels of colours: there is nothing worth keeping beside it.
        connection = "none" if is_first else self.network.connection
        convolution = self._full if is_first else self._convolution
        if connection == "inception":
            convolution = self._branches
        y = x
        for layer in range(1 if is_first else self.network.layers):
            y = self._activated(y) if layer else y
            y = self._normalised(convolution(y, stage, stride if layer == 0 else 1))
        if connection == "residual":
            y = layers.Add()([y, _shortcut(x, y.shape[-1], stride)])
        y = self._activated(y)
        return self._joined(x, y, stride) if connection == "dense" else y

    def _joined(self, x: KerasTensor, y: KerasTensor, stride: int) -> KerasTensor:
        both = layers.Concatenate()([_averaged(x, stride), y])
        return self._activated(self._normalised(self._pointwise(both, y.shape[-1])))

    def _branches(self, x: KerasTensor, stage: Stage, stride: int) -> KerasTensor:
        """The module of Szegedy et al. 2014 (arXiv:1409.4842, figure 2a) with a 1x1 layer after its pool."""
        narrow = replace(stage, filters=stage.filters // INCEPTION_BRANCHES)
        rest = stage.filters - (INCEPTION_BRANCHES - 1) * narrow.filters
        branches = [
            self._pointwise(_averaged(x, stride), rest),
            self._convolution(x, narrow, stride),
            self._convolution(x, replace(narrow, kernel=stage.kernel + 2), stride),
            self._pointwise(layers.MaxPooling2D(3, stride, "same")(x), narrow.filters),
        ]
        return layers.Concatenate()(branches)

    def _convolution(self, x: KerasTensor, stage: Stage, stride: int) -> KerasTensor:
        if self.network.convolution == "full":
            return self._full(x, stage, stride)
        if self.network.convolution == "separable":
            return self._pointwise(self._depthwise(x, stage.kernel, stride), stage.filters)
        return self._depthwise(self._pointwise(x, stage.filters, bias=False), stage.kernel, stride, bias=True)

    def _full(self, x: KerasTensor, stage: Stage, stride: int) -> KerasTensor:
        return layers.Conv2D(stage.filters, stage.kernel, stride, "same", **self._options())(x)

    def _pointwise(self, x: KerasTensor, filters: int, *, bias: bool = True) -> KerasTensor:
        return layers.Conv2D(filters, 1, **self._options(bias=bias))(x)

    def _depthwise(self, x: KerasTensor, kernel: int, stride: int, *, bias: bool = False) -> KerasTensor:
        options = self._options(bias=bias)
        options["depthwise_initializer"] = options.pop("kernel_initializer")
        return layers.DepthwiseConv2D(kernel, stride, "same", **options)(x)

    def _options(self, *, bias: bool = True) -> dict[str, Any]:
        return {
            "use_bias": bias and self.network.normalisation == "none",
            "kernel_initializer": self.network.initialiser,
        }

    def _normalised(self, x: KerasTensor) -> KerasTensor:
        return _NORMALISATIONS[self.network.normalisation](x)

    def _activated(self, x: KerasTensor) -> KerasTensor:
        return layers.Activation(self.network.activation)(x)


def _shortcut(x: KerasTensor, channels: int, stride: int) -> KerasTensor:
    x = _averaged(x, stride)
    missing = channels - x.shape[-1]
    if missing < 0:
        return x[..., :channels]
    return keras.ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, missing)]) if missing else x


def _averaged(x: KerasTensor, stride: int) -> KerasTensor:
    return layers.AveragePooling2D(stride, padding="same")(x) if stride > 1 else x


def _batch_normalised(x: KerasTensor) -> KerasTensor:
    # Momentum 0.9: a short training must not be judged by the statistics of its first, wild batches.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _group_normalised(x: KerasTensor) -> KerasTensor:
    return layers.GroupNormalization(math.gcd(8, x.shape[-1]))(x)


Layer = Callable[[KerasTensor], KerasTensor]

_NORMALISATIONS: dict[str, Layer] = {
    "batch": _batch_normalised,
    "layer": lambda x: layers.LayerNormalization()(x),
    "group": _group_normalised,
    "none": lambda x: x,
}
_SCALINGS: dict[str, Layer] = {
    "unit": lambda x: x,
    "centre": lambda x: layers.Rescaling(2.0, -1.0)(x),
    "picture": lambda x: layers.LayerNormalization(axis=[1, 2, 3], epsilon=1e-6, center=False, scale=False)(x),
    "batch": lambda x: layers.BatchNormalization(center=False, scale=False)(x),
}
_HEADS: dict[str, Callable[[], Any]] = {
    "average": layers.GlobalAveragePooling2D,
    "max": layers.GlobalMaxPooling2D,
    "flatten": layers.Flatten,
}

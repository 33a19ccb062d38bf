"""A darknet configuration as a Keras model, layer for layer, so that darknet's weights mean the same in it.

What differs from Keras' habits: a convolution with stride 2 pads both sides alike, normalisation has epsilon 1e-5 as in
darknet's GPU code, and leaky means slope 0.1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from components.errors import DataError
from components.vision.detection.cfg import Section
from components.vision.detection.grid import Grid, Scale
from components.vision.detection.weights import Convolution, Shape

_EPSILON = 1e-5
# Darknet's own is 0.99; a short training must not be judged by the statistics of its first, wild batches.
_MOMENTUM = 0.9
_RARE = 0.01  # share of predictions that have an object, to begin with


@dataclass(frozen=True)
class Network:
    """A detector.

    Attributes:
        model: pictures (n, height, width, 3) uint8 RGB to raw predictions (n, P, 5 + C) float32: x, y, w, h,
            objectness, classes, before any activation, in the order of the grid.
        grid: which cell and anchor each prediction has.
        num_classes: C.
    """

    model: keras.Model
    grid: Grid
    num_classes: int

    @property
    def convolutions(self) -> list[tuple[layers.Layer, layers.Layer | None]]:
        """Each convolution with its normalisation, in the order of the configuration."""
        by_name = {layer.name: layer for layer in self.model.layers}
        names = sorted(name for name in by_name if name.endswith("_conv"))
        return [(by_name[name], by_name.get(name.replace("_conv", "_norm"))) for name in names]

    @property
    def shapes(self) -> list[Shape]:
        """What a weights file has to hold."""
        return [
            Shape(conv.filters, conv.kernel.shape[2], conv.kernel.shape[0], norm is not None)
            for conv, norm in self.convolutions
        ]

    def load(self, found: Sequence[Convolution]) -> None:
        """Sets the first convolutions from a weights file; the others keep what they have."""
        for (conv, norm), arrays in zip(self.convolutions, found, strict=False):
            conv.kernel.assign(arrays["kernel"])
            if norm is None:
                conv.bias.assign(arrays["biases"])
            else:
                norm.set_weights([arrays[name] for name in ("scales", "biases", "means", "variances")])

    def save(self) -> list[Convolution]:
        """All convolutions, as `weights.write` takes them."""
        return [_arrays(conv, norm) for conv, norm in self.convolutions]


def build(sections: Sequence[Section], seed: int) -> Network:
    """The network of a configuration, its weights drawn at random.

    Raises:
        DataError: a section or an option that these networks don't have.
    """
    keras.utils.set_random_seed(seed)
    net, *body = sections
    height, width = net.integer("height"), net.integer("width")
    pictures = keras.Input((height, width, 3), dtype="uint8", name="pictures")
    maps = [layers.Rescaling(1 / 255, dtype="float32", name="scaled")(pictures)]
    heads: list[keras.KerasTensor] = []
    scales: list[Scale] = []
    for number, section in enumerate(body):
        if section.kind == "yolo":
            heads.append(_flat(maps[-1], section, f"{number:03d}"))
            scales.append(_scale(number, maps[-1], section))
            maps.append(maps[-1])  # so that layers keep their numbers
            continue
        if section.kind not in _LAYERS:
            raise DataError(f"layer {number} is [{section.kind}]; these networks have {', '.join(_LAYERS)} and yolo")
        maps.append(_LAYERS[section.kind](section, maps, f"{number:03d}"))
    yolo = [section for section in body if section.kind == "yolo"]
    if not yolo:
        raise DataError("the configuration has no [yolo] section; expected a detector")
    whole = layers.Concatenate(axis=1, dtype="float32", name="predictions")(heads) if len(heads) > 1 else heads[0]
    sides = np.array([width, height], np.float64)
    anchors = np.array(yolo[0].numbers("anchors")).reshape(-1, 2) / sides
    made = Network(keras.Model(pictures, whole), Grid(scales, anchors), yolo[0].integer("classes"))
    for scale in scales:
        _expect_little(made.model.get_layer(f"{scale.layer - 1:03d}_conv"), len(scale.mask))
    return made


Maps = list[keras.KerasTensor]  # the scaled picture, then the output of each layer


def _convolutional(section: Section, maps: Maps, name: str) -> keras.KerasTensor:
    size, stride = section.integer("size"), section.integer("stride", 1)
    x, normalised = maps[-1], section.integer("batch_normalize", 0) == 1
    if stride > 1:  # Keras' "same" would pad the far side only
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    linear = section.options.get("activation") == "linear"
    x = layers.Conv2D(
        section.integer("filters"),
        size,
        strides=stride,
        padding="valid" if stride > 1 else "same",
        use_bias=not normalised,
        kernel_initializer="he_normal",
        # What leaves the network is never rounded to half precision.
        dtype="float32" if linear else None,
        name=f"{name}_conv",
    )(x)
    if normalised:
        x = layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON, name=f"{name}_norm")(x)
    return x if linear else layers.LeakyReLU(negative_slope=0.1, name=f"{name}_leaky")(x)


def _maxpool(section: Section, maps: Maps, name: str) -> keras.KerasTensor:
    size = section.integer("size", 2)
    return layers.MaxPooling2D(size, section.integer("stride", 1), padding="same", name=f"{name}_pool")(maps[-1])


def _shortcut(section: Section, maps: Maps, name: str) -> keras.KerasTensor:
    return layers.Add(name=f"{name}_add")([maps[-1], _earlier(maps, section.integer("from"))])


def _route(section: Section, maps: Maps, name: str) -> keras.KerasTensor:
    found = [_earlier(maps, int(number)) for number in section.numbers("layers")]
    return layers.Concatenate(name=f"{name}_route")(found) if len(found) > 1 else found[0]


def _upsample(section: Section, maps: Maps, name: str) -> keras.KerasTensor:
    return layers.UpSampling2D(section.integer("stride"), name=f"{name}_up")(maps[-1])


_LAYERS: dict[str, Callable[[Section, Maps, str], keras.KerasTensor]] = {
    "convolutional": _convolutional,
    "maxpool": _maxpool,
    "shortcut": _shortcut,
    "route": _route,
    "upsample": _upsample,
}


def _expect_little(head: layers.Layer, anchors: int) -> None:
    """Objectness begins rare, as things are (RetinaNet's prior): else the first hundreds of steps learn only that."""
    biases = np.zeros((anchors, head.filters // anchors), np.float32)
    biases[:, 4] = math.log(_RARE / (1 - _RARE))
    head.bias.assign(biases.ravel())


def _earlier(maps: Maps, number: int) -> keras.KerasTensor:
    """A layer's output: from 0 on its number, below 0 counted back from the present layer."""
    index = len(maps) + number if number < 0 else number + 1
    if not 0 < index < len(maps):
        raise DataError(f"layer {len(maps) - 1} names layer {number}, which is not before it")
    return maps[index]


def _scale(number: int, maps: keras.KerasTensor, section: Section) -> Scale:
    mask = tuple(int(anchor) for anchor in section.numbers("mask"))
    return Scale(number, maps.shape[1], maps.shape[2], mask)


def _flat(maps: keras.KerasTensor, section: Section, name: str) -> keras.KerasTensor:
    each, values = len(section.numbers("mask")), 5 + section.integer("classes")
    if maps.shape[-1] != each * values:
        raise DataError(
            f"layer {name} gets {maps.shape[-1]} maps; {each} anchors of {values - 5} classes need {each * values}: "
            "set filters of the convolution before it"
        )
    return layers.Reshape((-1, values), dtype="float32", name=f"{name}_yolo")(maps)


def _arrays(conv: layers.Layer, norm: layers.Layer | None) -> Convolution:
    kernel = conv.kernel.numpy()
    if norm is None:
        return {"biases": conv.bias.numpy(), "kernel": kernel}
    scales, biases, means, variances = norm.get_weights()
    return {"biases": biases, "scales": scales, "means": means, "variances": variances, "kernel": kernel}

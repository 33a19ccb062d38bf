"""Backbones by name: keras.applications, networks that learn on a laptop, and EfficientNet-Lite0 offline.

Every backbone takes RGB pictures of 0..255 and brings the scaling that its weights were trained with.
"""

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
from keras import layers

from components.artifacts import checkpoint, storage
from components.errors import DataError, SettingsError
from components.knobs import nearest
from components.vision import lite0, small_networks, zoo
from components.vision import network as networks

IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

_APPLICATIONS = {
    "tf": "InceptionResNetV2 InceptionV3 Xception NASNetMobile NASNetLarge ResNet50V2 ResNet101V2 ResNet152V2 "
    "MobileNet MobileNetV2",
    "torch": "DenseNet121 DenseNet169 DenseNet201",
    "caffe": "ResNet50 ResNet101 ResNet152 VGG16 VGG19",
    # These carry their scaling inside.
    "none": "EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 "
    "EfficientNetB5 EfficientNetB6 EfficientNetB7 "
    "EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 "
    "EfficientNetV2S EfficientNetV2M EfficientNetV2L "
    "MobileNetV3Small MobileNetV3Large ConvNeXtTiny ConvNeXtSmall ConvNeXtBase",
}


Features = Callable[[tuple[int, int, int], str | None], keras.Model]


@dataclass(frozen=True)
class Backbone:
    """A network family.

    Attributes:
        scaling: how pictures of 0..255 become its input: `unit` (0..1), `tf` (-1..1), `torch` (ImageNet mean and sd),
            `caffe` (BGR minus mean), `lite` ((x - 127) / 128) or `none`.
        features: (scaled pictures, weights "imagenet" or None) -> a Keras model from pictures to features.
    """

    name: str
    scaling: str
    features: Features


def names() -> list[str]:
    """Every backbone's name, sorted."""
    return sorted(_registry())


def find(name: str, network: Mapping[str, Any] | None = None) -> Backbone:
    """The backbone of that name; `network` are its options (see `vision.network`).

    Raises:
        SettingsError: an unknown name, with the nearest known one, or options that this backbone does not take.
    """
    registry = _registry(network or {})
    if name not in registry:
        raise SettingsError(
            f"backbone={name!r} is not known{nearest(name, registry)}; known: {', '.join(sorted(registry))}"
        )
    if problem := networks.contradiction(name, network or {}):
        raise SettingsError(problem)
    return registry[name]


def build(name: str, size_px: int, weights: str, network: Mapping[str, Any] | None = None) -> keras.Model:
    """A backbone with its weights.

    Args:
        name: one of `names()`.
        size_px: side of the square pictures.
        weights: `none`, `imagenet`, or a file: this project's `.safetensors` or checkpoint reference (its backbone is
            taken), or Keras `.h5` weights without top; a local path or `gs://`.
        network: options of an own network; of any other backbone `resize_px` only.

    Returns:
        A Keras model from float pictures (n, size_px, size_px, 3), 0..255 RGB, to feature maps or vectors.

    Raises:
        SettingsError: unknown name or option, or a size too small for it. DataError: weights missing, or another
            network's.
    """
    backbone = find(name, network)
    inputs = keras.Input((size_px, size_px, 3), name="pictures")
    side = networks.side(name, network or {}) or size_px
    features = _features(backbone, (side, side, 3), "imagenet" if weights == "imagenet" else None)
    pictures = inputs if side == size_px else layers.Resizing(side, side)(inputs)
    model = keras.Model(inputs, features(scaled(pictures, backbone.scaling)), name="backbone")
    if weights not in ("none", "imagenet"):
        _load_file(features, model, weights)
    return model


def scaled(pictures: Any, scaling: str) -> Any:
    """Pictures of 0..255 RGB in a backbone's own range; (n, S, S, 3) in and out."""
    if scaling == "torch":
        scale = [1 / (255 * sd) for sd in IMAGENET_SD]
        return layers.Rescaling(scale, [-m / sd for m, sd in zip(IMAGENET_MEAN, IMAGENET_SD, strict=True)])(pictures)
    if scaling == "caffe":
        return layers.Rescaling(1.0, [-m for m in CAFFE_MEAN_BGR])(keras.ops.flip(pictures, axis=-1))
    factor, offset = {
        "unit": (1 / 255, 0.0),
        "tf": (1 / 127.5, -1.0),
        "lite": (1 / 128, -127 / 128),
        "none": (1.0, 0.0),
    }[scaling]
    return layers.Rescaling(factor, offset)(pictures)


def _registry(options: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Backbone]:
    found = {
        name: Backbone(name, "unit", _own(name, partial(small_networks.build, name)))
        for name in small_networks.NETWORKS
    }
    found |= {name: Backbone(name, "unit", _own(name, _zoo(name, options))) for name in networks.ZOO}
    found["EfficientNetLite0"] = Backbone("EfficientNetLite0", "lite", _lite0)
    for scaling, listed in _APPLICATIONS.items():
        found |= {name: Backbone(name, scaling, _application(name)) for name in listed.split()}
    return found


def _zoo(name: str, options: Mapping[str, Any]) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    return lambda inputs: zoo.build(networks.of(name, options), inputs)


def _own(name: str, build: Callable[[keras.KerasTensor], keras.KerasTensor]) -> Features:
    def features(shape: tuple[int, int, int], weights: str | None) -> keras.Model:
        if weights:
            raise DataError(
                f"backbone {name} has no ImageNet weights; use weights=none, or EfficientNetLite0 which has them"
            )
        inputs = keras.Input(shape)
        return keras.Model(inputs, build(inputs))

    return features


def _lite0(shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    inputs = keras.Input(shape)
    model = keras.Model(inputs, lite0.features(inputs))
    if weights:
        lite0.load_imagenet(model)
    return model


def _application(name: str) -> Features:
    def features(shape: tuple[int, int, int], weights: str | None) -> keras.Model:
        return getattr(keras.applications, name)(include_top=False, weights=weights, input_shape=shape)

    return features


def _features(backbone: Backbone, shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    try:
        return backbone.features(shape, weights)
    except ValueError as error:
        raise SettingsError(
            f"backbone {backbone.name} cannot take pictures of {shape[0]} px ({error}); raise preprocess.size_px or "
            "network.resize_px"
        ) from error
    except Exception as error:  # Keras raises a bare Exception for a failed download
        if "URL fetch failure" not in str(error):
            raise
        raise DataError(_no_download(backbone.name, str(error))) from error


def _no_download(name: str, message: str) -> str:
    url = re.search(r"https?://\S+?\.h5", message)
    target = f"put {url[0]} at ~/.keras/models/{Path(url[0]).name}" if url else "put the file into ~/.keras/models"
    return (
        f"the ImageNet weights of {name} could not be downloaded; {target}, or set weights to a file, "
        "or use the backbone EfficientNetLite0, whose weights are installed"
    )


def _load_file(features: keras.Model, model: keras.Model, uri: str) -> None:
    if not uri.endswith(".h5"):
        arrays, about = checkpoint.read_weights(uri)
        own = [array for name, array in sorted(arrays.items()) if name.startswith("backbone/")]
        assign(model, own, f"{uri} (backbone {about.get('backbone')})")
        return
    path = storage.local_copy(uri, Path(keras.config.keras_home()) / "models" if storage.is_remote(uri) else Path())
    try:
        with warnings.catch_warnings():
            # Keras only warns where it leaves a layer as it was: random weights that pass for pretrained ones.
            warnings.filterwarnings("error", message=".*(freshly-initialized|not found in)")
            features.load_weights(path)
    except (ValueError, UserWarning) as error:
        reason = str(error).split("\n")[0]
        raise DataError(
            f"{uri} does not fit the backbone ({reason}); expected its Keras weights without top"
        ) from error


def assign(model: keras.Model, arrays: list[Any], where: str) -> None:
    """Sets all weights of a model. Raises DataError where their number or shapes are another network's."""
    ours, theirs = [tuple(w.shape) for w in model.weights], [tuple(a.shape) for a in arrays]
    if ours != theirs:
        index = next(
            (i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
            min(len(ours), len(theirs)),
        )
        raise DataError(
            f"{where} holds {len(theirs)} weights, the network has {len(ours)}; the first difference is at {index}; "
            "give weights of the same backbone"
        )
    model.set_weights(arrays)

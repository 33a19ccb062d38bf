"""Small networks that learn from scratch on a laptop's processor, by name.

Each builder takes pictures as float32 in [0, 1] of shape (batch, side, side, 3), any side from 24 pixels, and gives
features of shape (batch, features) after global average pooling; the classifier is the caller's. All of them halve the
side early: on a processor the time goes into the first, largest maps. Convolutions carry no bias, because batch
normalisation follows.
"""

from collections.abc import Callable

from keras import KerasTensor, layers

Builder = Callable[[KerasTensor, str], KerasTensor]


def build(name: str, inputs: KerasTensor) -> KerasTensor:
    """Puts the network `name` on top of `inputs`.

    Args:
        name: a key of NETWORKS.
        inputs: (batch, side, side, 3) float32 in [0, 1], side >= 24.

    Returns:
        (batch, features) float tensor of the global dtype policy's compute type.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    if name not in NETWORKS:
        raise ValueError(f"{name!r} is not a small network; give one of {', '.join(sorted(NETWORKS))}")
    centred = layers.Rescaling(2.0, -1.0, name=f"{name}_centre")(inputs)
    return NETWORKS[name](centred, name)


def _convolution(x: KerasTensor, filters: int, name: str, *, size: int = 3, stride: int = 1) -> KerasTensor:
    options = {"strides": stride, "padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    return layers.Conv2D(filters, size, name=f"{name}_conv", **options)(x)


def _normalised(x: KerasTensor, name: str) -> KerasTensor:
    # Momentum 0.9: a short training must not be judged by the statistics of its first, wild batches.
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _unit(x: KerasTensor, filters: int, name: str, *, size: int = 3, stride: int = 1) -> KerasTensor:
    return _normalised(_convolution(x, filters, name, size=size, stride=stride), name)


def _small_cnn(x: KerasTensor, name: str) -> KerasTensor:
    """Plain: 32 at full side, then two layers each of 64, 128 and 256 channels, a maximum pool before each pair.

    1,163,936 weights; at 28 pixels 36 million multiply-adds a picture.
    """
    x = _unit(x, 32, f"{name}_stem")
    for stage, filters in enumerate((64, 128, 256), start=1):
        x = layers.MaxPooling2D(2, padding="same", name=f"{name}_pool{stage}")(x)
        x = _unit(x, filters, f"{name}_{stage}a")
        x = _unit(x, filters, f"{name}_{stage}b")
    return layers.GlobalAveragePooling2D(name=f"{name}_features")(x)


def _residual(x: KerasTensor, filters: int, name: str, *, stride: int) -> KerasTensor:
    """Pre-activation block (He et al. 2016, arXiv:1603.05027); the short cut is projected where the shape changes."""
    active = _normalised(x, f"{name}_in")
    changes = stride > 1 or x.shape[-1] != filters
    shortcut = _convolution(active, filters, f"{name}_short", size=1, stride=stride) if changes else x
    y = _unit(active, filters, f"{name}_a", stride=stride)
    y = _convolution(y, filters, f"{name}_b")
    return layers.Add(name=f"{name}_add")([shortcut, y])


def _small_resnet(x: KerasTensor, name: str) -> KerasTensor:
    """Residual: a stem at full side, then two pre-activation blocks each of 32, 64 and 128 channels, halving.

    690,384 weights; at 28 pixels 22 million multiply-adds a picture.
    """
    x = _convolution(x, 16, f"{name}_stem")
    for stage, filters in enumerate((32, 64, 128), start=1):
        for block in (1, 2):
            x = _residual(x, filters, f"{name}_{stage}{'ab'[block - 1]}", stride=2 if block == 1 else 1)
    x = _normalised(x, f"{name}_out")
    return layers.GlobalAveragePooling2D(name=f"{name}_features")(x)


def _tiny_cnn(x: KerasTensor, name: str) -> KerasTensor:
    """Plain, for a few hundred drawn pictures: 16, 32, 64 and 128 channels, each stage halving; 292,432 weights.

    At 48 pixels six times as fast as `small_cnn`.
    """
    x = _unit(x, 16, f"{name}_stem", size=5, stride=2)
    for stage, filters in enumerate((32, 64, 128), start=1):
        x = _unit(x, filters, f"{name}_{stage}a", stride=2)
        x = _unit(x, filters, f"{name}_{stage}b")
    return layers.GlobalAveragePooling2D(name=f"{name}_features")(x)


def _tiny_resnet(x: KerasTensor, name: str) -> KerasTensor:
    """Residual sister of `tiny_cnn`: one pre-activation block each of 32, 64 and 128 channels; 303,184 weights."""
    x = _convolution(x, 16, f"{name}_stem", size=5, stride=2)
    for stage, filters in enumerate((32, 64, 128), start=1):
        x = _residual(x, filters, f"{name}_{stage}", stride=2)
    x = _normalised(x, f"{name}_out")
    return layers.GlobalAveragePooling2D(name=f"{name}_features")(x)


def _small_separable(x: KerasTensor, name: str) -> KerasTensor:
    """Xception's idea at laptop size: separable residual stages of 64, 128 and 256 channels; 181,312 weights.

    Depthwise layers are slow in bfloat16 on a processor: train it in float32.
    """
    x = _unit(x, 32, f"{name}_stem", stride=2)
    for stage, filters in enumerate((64, 128, 256), start=1):
        shortcut = _convolution(x, filters, f"{name}_{stage}_short", size=1, stride=2 if stage > 1 else 1)
        y = _separable(x, filters, f"{name}_{stage}a")
        y = _separable(y, filters, f"{name}_{stage}b")
        if stage > 1:
            y = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_{stage}_pool")(y)
        x = layers.Add(name=f"{name}_{stage}_add")([shortcut, y])
    x = _normalised(x, f"{name}_out")
    return layers.GlobalAveragePooling2D(name=f"{name}_features")(x)


def _separable(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    x = layers.DepthwiseConv2D(
        3, padding="same", use_bias=False, depthwise_initializer="he_normal", name=f"{name}_depth"
    )(x)
    return _unit(x, filters, name, size=1)


NETWORKS: dict[str, Builder] = {
    "small_cnn": _small_cnn,
    "small_resnet": _small_resnet,
    "small_separable": _small_separable,
    "tiny_cnn": _tiny_cnn,
    "tiny_resnet": _tiny_resnet,
}

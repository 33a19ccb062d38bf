"""The layers of a Keras network as people draw them: what normalises, activates or drops belongs to its layer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import keras

PICTURE, CONVOLUTION, POOL, JOIN, DENSE, OTHER = "picture", "convolution", "pool", "join", "dense", "other"
MOST_UNITS = 60  # a longer network is drawn by the sizes of its maps

Config = dict[str, Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Unit:
    """A box of the drawing.

    Attributes:
        kind: PICTURE, CONVOLUTION, POOL, JOIN, DENSE or OTHER.
        words: what it is, for instance `["convolution 3×3, 16", "norm", "relu"]`.
        shape: of what it gives, without the batch: (side, side, channels) or (features,).
        parameters: weights, those that only follow the data among them.
        sources: numbers of the units that it reads, all smaller than its own.
    """

    kind: str
    words: list[str]
    shape: Shape
    parameters: int = 0
    sources: tuple[int, ...] = field(default=())


def units_of(model: keras.Model) -> list[Unit]:
    """The network from the picture on, in an order in which every unit follows what it reads."""
    units = [Unit(PICTURE, ["picture"], _shape(model.inputs[0]))]
    _walk(model, [0], units)
    return units if len(units) <= MOST_UNITS else _by_map_size(units)


def _walk(model: keras.Model, given: list[int], units: list[Unit]) -> list[int]:
    """Adds the layers of a model that reads the units `given`; returns the units of its outputs."""
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs)
    config, operations = model.get_config(), {operation.name: operation for operation in model.operations}
    readers = _readers(config)
    made: dict[str, list[int]] = {}
    for layer, name in ((layer, layer["name"]) for layer in config["layers"]):
        sources = [made[source][number] for source, number in _sources(layer)]
        operation = operations[name]
        if not sources:
            made[name] = [given[len(made)]]
        elif isinstance(operation, keras.Model):
            made[name] = _walk(operation, sources, units)
        else:
            made[name] = [_added(units, layer, operation, sources, readers)]
    return [made[name][number] for name, number in _outputs(config)]


def _added(units: list[Unit], layer: Config, operation: Any, sources: list[int], readers: dict[str, int]) -> int:
    """The number of the unit that the layer is, or has become part of."""
    parameters = operation.count_params() if isinstance(operation, keras.layers.Layer) else 0
    kind, word = _described(layer)
    (before, _), *others = _sources(layer)
    if kind == OTHER and not others and readers[before] == 1 and units[sources[0]].kind != JOIN:
        whole = units[sources[0]]
        words = whole.words if word in (whole.words[-1], "") else [*whole.words, word]
        shape = _shape(operation.output)
        units[sources[0]] = replace(whole, words=words, shape=shape, parameters=whole.parameters + parameters)
        return sources[0]
    units.append(Unit(kind, [word], _shape(operation.output), parameters, tuple(dict.fromkeys(sources))))
    return len(units) - 1


def _by_map_size(units: list[Unit]) -> list[Unit]:
    """One unit for each run of units whose maps have one size: a network of hundreds of layers at a glance."""
    runs = [list(run) for _, run in groupby(range(len(units)), key=lambda i: units[i].shape[:-1])]
    run_of = {i: number for number, run in enumerate(runs) for i in run}
    return [_merged([units[i] for i in run], number, run_of) for number, run in enumerate(runs)]


def _merged(run: list[Unit], number: int, run_of: dict[int, int]) -> Unit:
    counts = {kind: sum(unit.kind == kind for unit in run) for kind in (PICTURE, CONVOLUTION, POOL, JOIN, DENSE)}
    words = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items() if count]
    sources = {run_of[source] for unit in run for source in unit.sources} - {number}
    kind = max(counts, key=lambda name: counts[name])
    shape = max((unit.shape for unit in run), key=lambda shape: shape[-1])
    return Unit(kind, words, shape, sum(unit.parameters for unit in run), tuple(sorted(sources)))


def _sources(layer: Config) -> list[tuple[str, int]]:
    """(layer name, number of its output) of every tensor that a layer reads."""
    return [(name, number) for name, _, number in _histories(layer["inbound_nodes"][:1])]


def _histories(node: Any) -> Iterator[tuple[str, int, int]]:
    """Every `keras_history` in the arguments of a call, however they are nested."""
    if isinstance(node, dict) and node.get("class_name") == "__keras_tensor__":
        yield tuple(node["config"]["keras_history"])
    elif isinstance(node, dict | list | tuple):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _histories(inner)


def _outputs(config: Config) -> list[tuple[str, int]]:
    told = config["output_layers"]
    return [(name, number) for name, _, number in ([told] if isinstance(told[0], str) else told)]


def _readers(config: Config) -> dict[str, int]:
    """How many layers read each layer; an output of the model is read by whoever uses the model."""
    names = [name for layer in config["layers"] for name, _ in _sources(layer)]
    names += [name for name, _ in _outputs(config)]
    return {layer["name"]: names.count(layer["name"]) for layer in config["layers"]}


def _shape(tensor: Any) -> Shape:
    return tuple(int(side or 0) for side in tensor.shape[1:])


def _described(layer: Config) -> tuple[str, str]:
    """Kind and words of a layer."""
    name, config = layer["class_name"], layer["config"]
    kind, word = _WORDS.get(name, (OTHER, lambda _: name))
    parts = [word(config)]
    if kind != POOL and config.get("strides", (1, 1)) not in ((1, 1), [1, 1], 1):
        parts.append(f"stride {config['strides'][0]}")
    if name != "Activation" and config.get("activation", "linear") != "linear":
        parts.append(_activation(config["activation"]))
    return kind, ", ".join(parts)


def _kernel(config: Config) -> str:
    return "×".join(map(str, config.get("kernel_size") or config["pool_size"]))


def _activation(told: Any) -> str:
    return str(told if isinstance(told, str) else told.get("config", told))


_Words = Callable[[Config], str]
_WORDS: dict[str, tuple[str, _Words]] = {
    "Conv2D": (CONVOLUTION, lambda c: f"convolution {_kernel(c)}, {c['filters']}"),
    "SeparableConv2D": (CONVOLUTION, lambda c: f"separable {_kernel(c)}, {c['filters']}"),
    "DepthwiseConv2D": (CONVOLUTION, lambda c: f"depthwise {_kernel(c)}"),
    "Dense": (DENSE, lambda c: f"dense, {c['units']}"),
    "MaxPooling2D": (POOL, lambda c: f"maximum {_kernel(c)}"),
    "AveragePooling2D": (POOL, lambda c: f"average {_kernel(c)}"),
    "GlobalAveragePooling2D": (POOL, lambda c: "average of the map"),
    "GlobalMaxPooling2D": (POOL, lambda c: "maximum of the map"),
    "Add": (JOIN, lambda c: "sum"),
    "Multiply": (JOIN, lambda c: "product"),
    "Concatenate": (JOIN, lambda c: "concatenation"),
    "Flatten": (OTHER, lambda c: "flat"),
    "BatchNormalization": (OTHER, lambda c: "norm"),
    "LayerNormalization": (OTHER, lambda c: "layer norm"),
    "Activation": (OTHER, lambda c: _activation(c["activation"])),
    "ReLU": (OTHER, lambda c: "relu"),
    "Dropout": (OTHER, lambda c: f"dropout {c['rate']:g}" if c["rate"] else ""),
    "Rescaling": (OTHER, lambda c: "scaled"),
    "Pad": (OTHER, lambda c: "padded"),
    "ZeroPadding2D": (OTHER, lambda c: "padded"),
    "Resizing": (OTHER, lambda c: f"resized to {c['height']}×{c['width']}"),
}

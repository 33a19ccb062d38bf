"""What an own convolutional network is made of, as data: its stages and every choice that goes through all of them.

Standard library only, so that a recipe is checked without loading TensorFlow; `components.vision.zoo` builds it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from components import knobs
from components.errors import SettingsError
from components.knobs import knob

ACTIVATIONS = (
    *("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "hard_silu", "tanh", "sigmoid"),
    "linear",  # none at all: what the others are there for
)
INITIALISERS = (
    *("he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "orthogonal"),
    *("truncated_normal", "random_normal"),
)
INCEPTION_BRANCHES = 4


@dataclass(frozen=True)
class Stage:
    """Convolutions of one width. The side is divided by `stride` in its first one and by `pool` after its last."""

    filters: int = knob(32, "channels", at_least=1, at_most=4096)
    kernel: int = knob(3, "side of the convolutions", unit="px", at_least=1, at_most=15)
    blocks: int = knob(1, "blocks, each of `layers` convolutions", at_least=1, at_most=100)
    stride: int = knob(1, "of the first convolution", at_least=1, at_most=8)
    pool: int = knob(1, "what pooling divides the side by; left out where the side is 2 px or less", at_least=1)


@dataclass(frozen=True)
class Network:
    """Knobs of an own network; what a recipe leaves out is as the backbone's name says."""

    stages: list[Any] = knob([], "stages: tables with filters, kernel, blocks, stride, pool")
    layers: int = knob(1, "convolutions of a block", at_least=1, at_most=10)
    hidden: int = knob(0, "units of a dense layer before the logits; 0: none", at_least=0, at_most=65536)
    resize_px: int = knob(0, "side that pictures are first brought to; 0: as they are", unit="px", at_least=0)
    scaling: str = knob(
        "centre",
        "of the input: 0..1, -1..1, each picture's mean and deviation, or those of the data, learnt in batches",
        choices=("unit", "centre", "picture", "batch"),
    )
    convolution: str = knob(
        "full",
        "of all layers but the first: full, depthwise then pointwise (separable), or pointwise first (blueprint)",
        choices=("full", "separable", "blueprint"),
    )
    connection: str = knob(
        "none",
        "round a block: none; its input is added (residual) or joined, then narrowed by a 1x1 layer (dense); or each "
        "convolution is four narrow branches, joined (inception)",
        choices=("none", "residual", "dense", "inception"),
    )
    normalisation: str = knob("batch", "after a convolution", choices=("batch", "layer", "group", "none"))
    activation: str = knob("relu", "after it", choices=ACTIVATIONS)
    initialiser: str = knob("he_normal", "of kernels", choices=INITIALISERS)
    down: str = knob(
        "own",
        "how the side shrinks: as each stage says, all by stride, or all by pooling",
        choices=("own", "stride", "max", "average"),
    )
    head: str = knob("average", "how maps become features", choices=("average", "max", "flatten"))
    dropout: float = knob(0.0, "share of channels dropped after each stage", at_least=0, at_most=0.95)


def _stages(*rows: tuple[int, int, int, int, int]) -> list[Any]:
    """Each row: filters, kernel, blocks, stride, pool."""
    names = [field.name for field in fields(Stage)]
    return [dict(zip(names, row, strict=True)) for row in rows]


# ShatheNet's three versions: plain layers with biases, flattened into one dense layer.
_SHATHENET = Network(normalisation="none", initialiser="truncated_normal", head="flatten")
# Weights are what they may not have many of, and computing costs time: blueprint convolutions, added connections.
_LEAN = Network(layers=2, convolution="blueprint", connection="residual")

ZOO: dict[str, Network] = {
    "shathenet_1_0": replace(
        _SHATHENET, resize_px=150, hidden=32, stages=_stages((16, 7, 1, 6, 1), (16, 5, 1, 4, 1), (32, 3, 1, 2, 2))
    ),
    "shathenet_1_1": replace(
        _SHATHENET,
        hidden=512,
        stages=_stages(
            (32, 5, 3, 1, 2),
            (64, 3, 3, 1, 2),
            (64, 3, 1, 1, 2),
            (64, 5, 2, 1, 2),
            (64, 5, 1, 1, 1),
            (128, 3, 1, 1, 2),
            (128, 3, 3, 1, 2),
        ),
    ),
    "shathenet_1_2": replace(
        _SHATHENET, hidden=256, stages=_stages((32, 7, 2, 2, 2), (64, 5, 2, 2, 2), (128, 3, 2, 2, 2))
    ),
    "lean_17k": replace(_LEAN, stages=_stages((16, 3, 1, 1, 1), (36, 3, 3, 2, 1), (52, 3, 1, 2, 1))),
    "lean_100k": replace(_LEAN, stages=_stages((24, 3, 1, 1, 1), (68, 3, 3, 2, 1), (128, 3, 2, 2, 1))),
}


def of(backbone: str, options: Mapping[str, Any]) -> Network:
    """The network of a zoo name with its options.

    Args:
        backbone: a key of ZOO.
        options: fields of Network that differ from the name's own; `stages` replaces all of them.

    Raises:
        SettingsError: an option that does not exist or a value that it does not take.
    """
    chosen = knobs.from_mapping(Network, options, where="network")
    if "stages" in options and not chosen.stages:
        raise SettingsError("network.stages is empty; give one stage or more, or leave it out")
    for number, stage in enumerate(chosen.stages, start=1):
        if not isinstance(stage, dict):
            raise SettingsError(
                f"network.stages[{number}]={stage!r} is no table; expected for instance {{filters = 32}}"
            )
        knobs.from_mapping(Stage, stage, where=f"network.stages[{number}]")
    whole = replace(ZOO[backbone], **{name: getattr(chosen, name) for name in options})
    if whole.connection == "inception" and min(stage.filters for stage in stages_of(whole)) < INCEPTION_BRANCHES:
        raise SettingsError(
            f"network.connection='inception' cuts a stage's filters into {INCEPTION_BRANCHES} branches; "
            f"give every stage {INCEPTION_BRANCHES} filters or more"
        )
    return whole


def stages_of(network: Network) -> list[Stage]:
    """The stages, with `down` applied: where all is stride or all is pooling, a stage shrinks by the same factor."""
    found = [knobs.from_mapping(Stage, stage) for stage in network.stages]
    if network.down == "own":
        return found
    if network.down == "stride":
        return [replace(stage, stride=stage.stride * stage.pool, pool=1) for stage in found]
    return [replace(stage, stride=1, pool=stage.stride * stage.pool) for stage in found]


def side(backbone: str, options: Mapping[str, Any]) -> int:
    """The side that pictures are brought to before the backbone sees them; 0: they stay as they are."""
    return of(backbone, options).resize_px if backbone in ZOO else int(options.get("resize_px", 0))


def contradiction(backbone: str, options: Mapping[str, Any]) -> str:
    """Why a backbone cannot take these options; empty where it can. Raises SettingsError as `of` does."""
    if backbone in ZOO:
        of(backbone, options)
        return ""
    knobs.from_mapping(Network, options, where="network")
    shaping = [name for name in options if name != "resize_px"]
    if shaping:
        return f"network.{shaping[0]} shapes own networks ({', '.join(ZOO)}), backbone={backbone} takes resize_px only"
    return ""

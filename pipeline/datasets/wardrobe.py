"""The attributes the demo can draw: their classes, what a look of each class is, and which class a look shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.datasets.drawing import FLOOR, WAIST, Look

# Where one class of length ends and the next begins: along the leg from the waist, along the arm from the shoulder.
SKIRT_BOUNDS = (0.14, 0.40, 0.56, 0.74, 0.90, 1.03)
SLEEVE_BOUNDS = (0.0, 0.03, 0.17, 0.36, 0.54, 0.76, 0.93, 1.10, 1.32)
# How far a plain example keeps away from a bound, as a share of its class's width.
_MARGIN = 0.18


@dataclass(frozen=True)
class Attribute:
    """One label dimension that can be drawn.

    Attributes:
        classes: names in the order of the label string.
        ordinal: the classes from index 1 on form a scale.
        weights: how often each class occurs; 0 for a class that never does.
        show: makes a look show a class, clearly (`neighbour` None) or halfway to another class.
        shown: the class that a look shows.
        aspect: lowest and highest width / height of a picture.
    """

    classes: tuple[str, ...]
    ordinal: bool
    weights: tuple[float, ...]
    show: Callable[[Look, int, int | None, np.random.Generator], Look]
    shown: Callable[[Look], int]
    aspect: tuple[float, float]


def example(name: str, flat: bool, fuzzy_share: float, rng: np.random.Generator) -> tuple[Look, str]:
    """Makes one look of an attribute with its label string; a fuzzy one really lies between two classes.

    Args:
        name: a key of ATTRIBUTES.
        flat: clothes laid flat.
        fuzzy_share: probability of an ambiguous example, 0 to 1.
        rng: decides everything.

    Returns:
        The look, and its label of `y`, `m` and `n`.
    """
    attribute = ATTRIBUTES[name]
    index = int(rng.choice(len(attribute.classes), p=np.array(attribute.weights) / sum(attribute.weights)))
    other = _neighbour(attribute, index, rng) if rng.random() < fuzzy_share else None
    look = attribute.show(_any_look(flat, rng), index, other, rng)
    return look, label_string(len(attribute.classes), index, [] if other is None else [other])


def label_string(count: int, index: int, fuzzy: Sequence[int] = ()) -> str:
    """`count` letters: `y` at `index`, `m` at every `fuzzy` index, else `n`."""
    return "".join("y" if i == index else "m" if i in fuzzy else "n" for i in range(count))


def _any_look(flat: bool, rng: np.random.Generator) -> Look:
    skirt, sleeve = float(rng.uniform(0.15, 1.0)), float(rng.choice([0.0, 0.25, 0.45, 0.65, 0.85, 1.0]))
    return Look(flat, skirt, sleeve, collar=int(rng.integers(5)), veil=0.0, top=-0.02, bottom=1.04)


def _neighbour(attribute: Attribute, index: int, rng: np.random.Generator) -> int | None:
    if not attribute.ordinal:  # what hides a design is the scarf, so its doubt is with Invisible, often far away
        return 0 if index else int(rng.integers(1, len(attribute.classes)))
    near = [i for i in (index - 1, index + 1) if 1 <= i < len(attribute.classes)]
    return int(rng.choice(near)) if index else None


def _length(bounds: Sequence[float], index: int, other: int | None, rng: np.random.Generator) -> float:
    """A length of class `index` (1 or more); just inside the bound it shares with `other` if there is one."""
    low, high = bounds[index - 1], bounds[index]
    if other is None:
        margin = (high - low) * _MARGIN
        return float(rng.uniform(low + margin, high - margin))
    step = (high - low) * float(rng.uniform(0.005, 0.06))
    return high - step if other > index else low + step


def _show_skirt(look: Look, index: int, other: int | None, rng: np.random.Generator) -> Look:
    top = float(rng.uniform(-0.03, 0.14))
    if index == 0:  # the frame ends above the hem
        long = replace(look, skirt=float(rng.uniform(0.4, 1.0)))
        return replace(long, top=top, bottom=_hem(long) - float(rng.uniform(0.05, 0.2)))
    shown = replace(look, skirt=_length(SKIRT_BOUNDS, index, other, rng), top=top)
    return replace(shown, bottom=max(float(rng.uniform(1.0, 1.06)), _hem(shown) + 0.02))


def _hem(look: Look) -> float:
    return WAIST + (FLOOR - WAIST) * look.skirt


def _shown_skirt(look: Look) -> int:
    return 0 if look.bottom <= _hem(look) else _class_of(SKIRT_BOUNDS, look.skirt)


def _show_sleeve(look: Look, index: int, other: int | None, rng: np.random.Generator) -> Look:
    look = replace(look, top=float(rng.uniform(-0.03, 0.05)), bottom=float(rng.uniform(0.68, 0.76)))
    sleeve = 0.0 if index == 1 and other is None else _length(SLEEVE_BOUNDS, index, other, rng)
    return replace(look, sleeve=sleeve)


def _shown_sleeve(look: Look) -> int:
    return _class_of(SLEEVE_BOUNDS, look.sleeve)


def _class_of(bounds: Sequence[float], length: float) -> int:
    return int(np.clip(np.searchsorted(bounds, length, side="right"), 1, len(bounds) - 1))


def _show_collar(look: Look, index: int, other: int | None, rng: np.random.Generator) -> Look:
    look = replace(look, top=float(rng.uniform(-0.03, 0.04)), bottom=float(rng.uniform(0.34, 0.42)))
    if other is not None:
        return replace(look, collar=max(index, other), veil=float(rng.uniform(0.3, 0.5)))
    if index == 0 and rng.random() < 0.5:
        return replace(look, veil=float(rng.uniform(0.85, 1.0)))
    return replace(look, collar=index)


def _shown_collar(look: Look) -> int:
    return 0 if look.veil > 0.4 else look.collar


ATTRIBUTES: dict[str, Attribute] = {
    "skirt_length_labels": Attribute(
        ("Invisible", "Short Length", "Knee Length", "Midi Length", "Ankle Length", "Floor Length"),
        True,
        (0.08, 0.24, 0.22, 0.2, 0.13, 0.13),
        _show_skirt,
        _shown_skirt,
        (0.6, 1.05),
    ),
    "sleeve_length_labels": Attribute(
        ("Invisible", "Sleeveless", "Cup", "Short", "Elbow", "3/4", "Wrist Length", "Long", "Extra Long"),
        True,
        (0.0, 0.22, 0.08, 0.17, 0.11, 0.12, 0.14, 0.1, 0.06),
        _show_sleeve,
        _shown_sleeve,
        (0.95, 1.3),
    ),
    "collar_design_labels": Attribute(
        ("Invisible", "Shirt Collar", "Peter Pan", "Puritan Collar", "Rib Collar"),
        False,
        (0.22, 0.3, 0.16, 0.16, 0.16),
        _show_collar,
        _shown_collar,
        (0.75, 1.2),
    ),
}

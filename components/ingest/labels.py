"""Label strings: one of y (this one), m (maybe) or n (not) for every class of an attribute; or a number."""

import math
from collections.abc import Sequence

from components.ingest.attributes import Attribute
from components.vision import tasks


def fault(label: str, attribute: Attribute) -> str:
    """Why a label string cannot be used, or "". The part before the colon is the category."""
    if attribute.task == tasks.REGRESSION:
        return "" if is_number(label) else f"no number: {label!r}; a regression learns numbers"
    num_classes = len(attribute.classes)
    strange = sorted(set(label) - set("ymn"))
    if strange:
        return f"strange character: {label!r} has {''.join(strange)!r}; only y, m and n are labels"
    if len(label) != num_classes:
        return f"wrong length: {label!r} has {len(label)} characters; {attribute.name} has {num_classes} classes"
    if label.count("y") != 1 and attribute.task != tasks.MULTI_LABEL:
        return f"{'no y' if 'y' not in label else 'more than one y'}: {label!r}; exactly one class is y"
    return ""


def is_number(text: str) -> bool:
    """Whether a text is a finite number. Python would read `1_000` too, which people write for other things."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def positions(label: str) -> list[int]:
    """The classes that a label calls y; none for a number."""
    return [i for i, letter in enumerate(label) if letter == "y"]


def one_hot(index: int, num_classes: int) -> str:
    """The label of a picture known to be of one class, for instance `nnyn`."""
    return "n" * index + "y" + "n" * (num_classes - index - 1)


def neighbours(first: str, second: str) -> bool:
    """True if the labels agree within their own doubt: the y of one is y or m in the other."""
    return first[second.index("y")] != "n" or second[first.index("y")] != "n"


def merged(winner: int, labels: list[str]) -> str:
    """One soft label of several: y for the winner, m for every other class that any of them calls y or m."""
    marked = ["m" if any(label[i] != "n" for label in labels) else "n" for i in range(len(labels[0]))]
    marked[winner] = "y"
    return "".join(marked)


def merged_presence(found: Sequence[str]) -> str:
    """One label of several where classes don't exclude each other: what not all of them say might be so."""
    return "".join(letters[0] if len(set(letters)) == 1 else "m" for letters in zip(*found, strict=True))


def merged_numbers(found: Sequence[str]) -> str:
    """The mean of several numbers."""
    return f"{math.fsum(map(float, found)) / len(found):.12g}"

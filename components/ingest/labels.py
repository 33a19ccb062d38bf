"""Label strings: one of y (this one), m (maybe) or n (not) for every class of an attribute."""

from components.ingest.attributes import Attribute


def fault(label: str, attribute: Attribute) -> str:
    """Why a label string cannot be used, or "". The part before the colon is the category."""
    num_classes = len(attribute.classes)
    strange = sorted(set(label) - set("ymn"))
    if strange:
        return f"strange character: {label!r} has {''.join(strange)!r}; only y, m and n are labels"
    if len(label) != num_classes:
        return f"wrong length: {label!r} has {len(label)} characters; {attribute.name} has {num_classes} classes"
    if label.count("y") != 1:
        return f"{'no y' if 'y' not in label else 'more than one y'}: {label!r}; exactly one class is y"
    return ""


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

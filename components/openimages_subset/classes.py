"""Classes of Open Images by the names that people know them by, and what lies below each in the hierarchy."""

import csv
import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.errors import DataError, SettingsError

_HINTS = 3


def wanted_labels(names: list[str], described: dict[str, str], hierarchy: dict[str, Any] | None) -> dict[str, int]:
    """Label (machine identifier) to the number of the class whose boxes it gives.

    Args:
        names: display names, or labels, in the order of their numbers.
        described: label to display name.
        hierarchy: of `read_hierarchy`; with it sub-classes count as the nearest wanted class above them.

    Raises:
        SettingsError: a name that no class has; says which ones are close. Or one that several classes have.
    """
    labels = [_label(name, described) for name in names]
    found = {label: number for number, label in enumerate(labels)}
    if hierarchy is None:
        return found
    return found | dict(_below(hierarchy, found, None))


def read_names(path: Path) -> dict[str, str]:
    """Label to display name, from a CSV of both; the header that newer files have is left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = {row[0]: row[1] for row in csv.reader(file) if len(row) == 2 and row[0] != "LabelName"}
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} is no CSV of text ({error}); give the file of class descriptions") from error
    if not found:
        raise DataError(f"{path.name} has no line LabelName,DisplayName; give the file of class descriptions")
    return found


def read_hierarchy(path: Path) -> dict[str, Any]:
    """The tree of `LabelName` and `Subcategory`."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path.name} is no JSON ({error}); give bbox_labels_600_hierarchy.json") from error
    if not isinstance(tree, dict) or "LabelName" not in tree:
        raise DataError(f"{path.name} has no LabelName at its top; give bbox_labels_600_hierarchy.json")
    return tree


def _label(name: str, described: dict[str, str]) -> str:
    if name in described:
        return name
    labels = sorted(label for label, known in described.items() if known.casefold() == name.casefold())
    labels = [label for label in labels if described[label] == name] or labels
    if len(labels) > 1:
        raise SettingsError(
            f"openimages_subset.class_names: {name!r} is the name of {len(labels)} classes, {', '.join(labels)}; give "
            "the label of the one you want instead"
        )
    if labels:
        return labels[0]
    by_lower_case = {known.casefold(): known for known in described.values()}
    close = [by_lower_case[key] for key in difflib.get_close_matches(name.casefold(), by_lower_case, n=_HINTS)]
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {len(described)}, none with such a name"
    raise SettingsError(f"openimages_subset.class_names: {name!r} is not a class of Open Images; {hint}")


def _below(node: dict[str, Any], wanted: dict[str, int], nearest: int | None) -> Iterator[tuple[str, int]]:
    """Every label below a wanted class, with the number of the nearest one above it; parts of things don't count."""
    label = str(node.get("LabelName", ""))
    nearest = wanted.get(label, nearest)
    if nearest is not None:
        yield label, nearest
    for child in node.get("Subcategory", []):
        yield from _below(child, wanted, nearest)

"""The grid of a study: every combination of the values that it lists, with a name of its own."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.-]+")


def combinations(axes: Mapping[str, Sequence[Any]], longest_name: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, notes and changes of every combination; the notes say what the name cannot.

    Args:
        axes: path of a knob (`train.l2`) to the values to try. Lists and tables are named by their places.
        longest_name: in letters; a combination whose name would be longer is called `grid-` and its number.
    """
    for number, chosen in enumerate(itertools.product(*axes.values()) if axes else (), 1):
        pairs = dict(zip(axes, chosen, strict=True))
        name = "_".join(_plain(f"{_knob(path)}-{_label(value, axes[path])}") for path, value in pairs.items())
        is_short = len(name) <= longest_name
        unsaid = [path for path, value in pairs.items() if not is_short or isinstance(value, list | dict)]
        notes = ", ".join(f"{_knob(path)}={pairs[path]!r}" for path in unsaid)
        yield name if is_short else f"grid-{number}", notes, _nested(pairs)


def _knob(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def _label(value: Any, values: Sequence[Any]) -> Any:
    return values.index(value) + 1 if isinstance(value, list | dict) else value


def _plain(text: str) -> str:
    return _NOT_PLAIN.sub("-", text).strip("-")


def _nested(pairs: Mapping[str, Any]) -> dict[str, Any]:
    """`{"train.l2": 0}` as `{"train": {"l2": 0}}`."""
    found: dict[str, Any] = {}
    for path, value in pairs.items():
        *tables, key = path.split(".")
        inner = found
        for table in tables:
            inner = inner.setdefault(table, {})
        inner[key] = value
    return found

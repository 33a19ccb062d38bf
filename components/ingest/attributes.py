"""Attributes and their ordered classes: the contest's own table, or what the recipe says."""

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.errors import DataError, SettingsError
from components.knobs import nearest


@dataclass(frozen=True)
class Attribute:
    """A label dimension. `classes[i]` is what position i of a label string means; `ordinal`: the classes are ranks."""

    name: str
    classes: tuple[str, ...]
    ordinal: bool = False


def tidy(text: str) -> str:
    """White space normalised: the contest itself writes `One<TAB>Shoulder Neckline`."""
    return " ".join(text.split())


@cache
def known() -> dict[str, Attribute]:
    """The eight attributes of the FashionAI contest."""
    table = tomllib.loads((Path(__file__).parent / "fashionai.toml").read_text(encoding="utf-8"))
    return {name: Attribute(name, tuple(body["classes"]), body["ordinal"]) for name, body in table.items()}


def asked(structs: list[Any]) -> dict[str, dict[str, Any]]:
    """The recipe's attributes by name, in its order.

    Raises:
        SettingsError: no name, a name given twice, or classes that cannot be told apart.
    """
    wanted: dict[str, dict[str, Any]] = {}
    for struct in structs:
        name = tidy(str(struct.get("name", ""))) if isinstance(struct, dict) else ""
        if not name:
            raise SettingsError(f'attributes: {struct!r} has no name; give {{"name": "sleeve_length_labels"}}')
        if name in wanted:
            raise SettingsError(f"attribute {name!r} is given twice; give it once")
        wanted[name] = struct
        _classes(name, struct)
    return wanted


def settle(structs: list[Any], lengths: Mapping[str, Counter[int]]) -> dict[str, Attribute]:
    """Decides which attributes the run has, and their classes.

    Args:
        structs: the recipe's attributes; empty means all known ones that occur, or all that occur where none is known.
        lengths: for every attribute name in the data, how often its labels have each length.

    Raises:
        SettingsError: a faulty struct. DataError: an attribute that no labelled row names.
    """
    wanted = asked(structs)
    names = list(wanted) or [n for n in known() if n in lengths] or list(lengths)
    if not names:
        raise DataError("no labelled row in any round; expected Annotations/*.csv with rows path,attribute,label")
    for name in names:
        if name not in lengths:
            found = ", ".join(lengths) or "none"
            raise DataError(f"attribute {name!r} has no labelled row{nearest(name, lengths)}; the data has: {found}")
    return {name: _settled(name, wanted.get(name, {}), lengths[name]) for name in names}


def _settled(name: str, struct: dict[str, Any], lengths: Counter[int]) -> Attribute:
    usual = lengths.most_common(1)[0][0]
    table = known().get(name)
    classes = _classes(name, struct) or (table.classes if table else tuple(str(i) for i in range(usual)))
    return Attribute(name, classes, bool(struct.get("ordinal", table.ordinal if table else False)))


def _classes(name: str, struct: dict[str, Any]) -> tuple[str, ...]:
    classes = tuple(tidy(str(c)) for c in struct.get("classes") or ())
    if classes and (len(classes) < 2 or len(set(classes)) < len(classes) or "" in classes):
        raise SettingsError(f"attribute {name!r}: classes={list(classes)}; give two or more different names")
    return classes

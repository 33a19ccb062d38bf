"""Attributes and their ordered classes: the contest's own table, or what the recipe says."""

import tomllib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.errors import DataError, SettingsError
from components.knobs import nearest
from components.vision import tasks


@dataclass(frozen=True)
class Attribute:
    """A label dimension.

    Attributes:
        classes: `classes[i]` is what position i of a label string means; the quantity itself for a regression.
        ordinal: the classes are ranks.
        task: one of `tasks.TASKS`.
    """

    name: str
    classes: tuple[str, ...]
    ordinal: bool = False
    task: str = tasks.ONE_OF_K


def tidy(text: str) -> str:
    """White space normalised: the contest itself writes `One<TAB>Shoulder Neckline`."""
    return " ".join(text.split())


def class_name(text: str) -> str:
    """A class as everybody calls it: tidy, and in composed letters, since disks and keyboards differ in writing é."""
    return unicodedata.normalize("NFC", tidy(text))


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


def with_task(
    name: str, struct: dict[str, Any], found: Sequence[str], *, several: bool = False, in_order: bool = False
) -> Attribute:
    """The attribute that a struct asks for, on data whose classes are known.

    Args:
        name: of the attribute.
        struct: the recipe's: classes, ordinal, task; `auto` is multi_label where pictures have several classes or none,
            else binary for two classes and one_of_k for more.
        found: the classes that occur, for a struct that gives none.
        several: whether any picture has several certain classes, or none.
        in_order: whether the data itself says the order of `found`. Otherwise it is nobody's ranking, so that ranks
            (`task = "ordinal"`, or another with `ordinal = true`) are refused without classes.

    Raises:
        SettingsError: a task that nobody knows, one that does not go with the classes given, or ranks without an order.
        DataError: fewer than two classes.
    """
    task = str(struct.get("task") or tasks.ONE_OF_K)
    if task not in (*tasks.TASKS, "auto"):
        known = ", ".join((*tasks.TASKS, "auto"))
        raise SettingsError(f"attribute {name!r}: task={task!r} is not one of {known}{nearest(task, tasks.TASKS)}")
    if task == tasks.REGRESSION:
        return Attribute(name, ("value",), False, task)
    classes = _classes(name, struct) or tuple(class_name(str(c)) for c in found)
    if len(classes) < 2:
        raise DataError(f"attribute {name!r} has {len(classes)} class(es): {list(classes)}; expected two or more")
    is_ranked = task == tasks.ORDINAL or bool(struct.get("ordinal"))
    if is_ranked and not (in_order or struct.get("classes")):
        asked = "task=ordinal" if task == tasks.ORDINAL else "ordinal=true"
        raise SettingsError(f"attribute {name!r}: {asked} needs classes, the lowest first; found: {list(classes)}")
    if task == "auto":
        task = tasks.MULTI_LABEL if several else tasks.BINARY if len(classes) == 2 else tasks.ONE_OF_K
    if task == tasks.BINARY and len(classes) != 2:
        raise SettingsError(f"attribute {name!r}: task=binary has two classes, not {len(classes)}; use one_of_k")
    return Attribute(name, classes, is_ranked, task)


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
    if table:
        struct = {"ordinal": table.ordinal} | struct | {"classes": struct.get("classes") or table.classes}
    return with_task(name, struct, [str(i) for i in range(usual)], in_order=True)


def _classes(name: str, struct: dict[str, Any]) -> tuple[str, ...]:
    classes = tuple(class_name(str(c)) for c in struct.get("classes") or ())
    if classes and (len(classes) < 2 or len(set(classes)) < len(classes) or "" in classes):
        raise SettingsError(f"attribute {name!r}: classes={list(classes)}; give two or more different names")
    return classes

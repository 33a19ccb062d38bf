"""Knobs: a step's settings declared once, in a frozen dataclass, and read everywhere else.

The recipe, the command line and the KFP component of a step are all derived from the same fields, so they cannot
drift apart. Standard library only: recipes are checked without loading TensorFlow.
"""

import dataclasses
import difflib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from components.errors import SettingsError

T = TypeVar("T")
REQUIRED = dataclasses.MISSING


def knob(
    default: Any,
    help: str,
    *,
    unit: str = "",
    choices: tuple[Any, ...] = (),
    at_least: float | None = None,
    at_most: float | None = None,
) -> Any:
    """One setting of a step. Bounds are inclusive; for a list, `choices` and bounds hold for every element."""
    about = {"help": help, "unit": unit, "choices": choices, "at_least": at_least, "at_most": at_most}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: json.loads(json.dumps(default)), metadata=about)
    return dataclasses.field(default=default, metadata=about)


def given(help: str, default: Any = REQUIRED) -> Any:
    """One input of a step: something the pipeline hands over (a reference, the attribute), not a knob."""
    return knob(default, help)


def describe(field: dataclasses.Field[Any]) -> str:
    """The help of a knob with its unit, choices and range, as the form, `--help` and the IR show it."""
    about = field.metadata
    parts = [about["help"]]
    if about["unit"]:
        parts.append(f"[{about['unit']}]")
    if about["choices"]:
        parts.append("one of: " + ", ".join(map(str, about["choices"])))
    if about["at_least"] is not None:
        parts.append(f"at least {about['at_least']:g}")
    if about["at_most"] is not None:
        parts.append(f"at most {about['at_most']:g}")
    return "; ".join(parts)


def types_of(cls: type) -> dict[str, type]:
    """The plain type of every field: `list[str]` is `list`, `dict[str, Any]` is `dict`."""
    return {name: get_origin(hint) or hint for name, hint in get_type_hints(cls).items()}


def default_of(field: dataclasses.Field[Any]) -> Any:
    """A field's default value, or REQUIRED."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean x?` where something known is close, else an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def from_mapping(cls: type[T], values: Mapping[str, Any], *, where: str = "") -> T:
    """Builds a settings or inputs object from plain values, each checked against its field.

    Args:
        cls: a frozen dataclass whose fields were made with `knob` or `given`.
        values: field name to value; JSON numbers may be floats for int fields when integral.
        where: what to name in errors, for instance the recipe's table.

    Raises:
        SettingsError: an unknown name (the nearest known one is suggested), a wrong type, or a value out of range.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    prefix = f"{where}." if where else ""
    for name in values:
        if name not in fields:
            raise SettingsError(f"{prefix}{name} is not a setting{nearest(name, fields)}")
    hints = get_type_hints(cls)
    checked = {n: _checked(f"{prefix}{n}", v, hints[n], fields[n].metadata) for n, v in values.items()}
    missing = [n for n, f in fields.items() if n not in values and default_of(f) is REQUIRED]
    if missing:
        raise SettingsError(f"{prefix}{missing[0]} is missing; give it a value: {describe(fields[missing[0]])}")
    return cls(**checked)


def as_mapping(settings: Any) -> dict[str, Any]:
    """The plain values of a settings object, ready for JSON."""
    return dataclasses.asdict(settings)


def parse(text: str, kind: type) -> Any:
    """A command-line text as the type of its field: JSON for lists and structs, commas for plain lists."""
    if kind is str:
        return text
    if kind is list and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text.lower() if kind is bool else text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{text!r} is not {_a(kind)}; give JSON, for instance {_example(kind)}") from error


def _example(kind: type) -> str:
    return {bool: "true", int: "3", float: "0.5", list: '["a","b"]', dict: '{"a":1}'}.get(kind, "text")


def _a(kind: type) -> str:
    return f"an {kind.__name__}" if kind.__name__[0] in "aeiou" else f"a {kind.__name__}"


def _checked(name: str, value: Any, hint: Any, about: Mapping[str, Any]) -> Any:
    kind = get_origin(hint) or hint
    value = _converted(name, value, kind)
    if kind is list and get_args(hint):
        value = [
            _converted(f"{name}[{i}]", v, get_origin(get_args(hint)[0]) or get_args(hint)[0])
            for i, v in enumerate(value)
        ]
    for element in value if kind is list else [value]:
        _in_range(name, element, about)
    return value


def _converted(name: str, value: Any, kind: Any) -> Any:
    if kind is Any or (kind is not float and type(value) is kind):
        return value
    number = type(value) in (int, float)
    if kind is float and number and math.isfinite(value):
        return float(value)
    if kind is int and number and math.isfinite(value) and value == int(value):
        return int(value)
    what = _a(type(value)) if not number or math.isfinite(value) else "not finite"
    raise SettingsError(f"{name}={value!r} is {what}; expected {kind.__name__}, for instance {_example(kind)}")


def _in_range(name: str, value: Any, about: Mapping[str, Any]) -> None:
    choices, low, high = about["choices"], about["at_least"], about["at_most"]
    if choices and value not in choices:
        hint = nearest(value, map(str, choices)) if isinstance(value, str) else ""
        known = ", ".join(str(choice) for choice in choices if choice != "")
        raise SettingsError(f"{name}={value!r} is not one of {known}{hint}")
    if low is not None and value < low:
        raise SettingsError(f"{name}={value!r} is below {_plain(low)}; give {_plain(low)} or more")
    if high is not None and value > high:
        raise SettingsError(f"{name}={value!r} is above {_plain(high)}; give {_plain(high)} or less")


def _plain(bound: float) -> str:
    """Every digit: 2147483647, not 2.14748e+09."""
    return str(bound) if isinstance(bound, int) else f"{bound:g}"

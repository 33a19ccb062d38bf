"""Knobs and parameters as fields of a form, and values as the texts that inputs show and `--set` reads."""

import dataclasses
import json
from typing import Any

from components import knobs
from pipeline.server.domain import recipes as forms
from pipeline.server.domain.recipes import Field

_KINDS = {
    bool: forms.BOOLEAN,
    int: forms.INTEGER,
    float: forms.NUMBER,
    list: forms.LIST,
    dict: forms.STRUCT,
    str: forms.TEXT,
}


def of_settings(cls: type, prefix: str = "") -> dict[str, Field]:
    """An empty field for every knob of a settings class, by the knob's name."""
    types = knobs.types_of(cls)
    return {f.name: _of_knob(f, types[f.name], prefix) for f in dataclasses.fields(cls)}


def _of_knob(knob: dataclasses.Field[Any], kind: type, prefix: str) -> Field:
    about = knob.metadata
    choices = tuple(as_text(choice) for choice in about["choices"])
    return Field(
        name=prefix + knob.name,
        label=knob.name,
        kind=forms.CHOICE if choices and kind is not list else _KINDS.get(kind, forms.TEXT),
        value="",
        help=about["help"],
        unit=about["unit"],
        choices=choices,
        low=about["at_least"],
        high=about["at_most"],
    )


def as_text(value: Any) -> str:
    """A value as `knobs.parse` reads it back: texts as they are, lists of plain words with commas, else JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(_is_plain_word(v) for v in value):
        return ", ".join(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def _is_plain_word(value: Any) -> bool:
    return isinstance(value, str) and value == value.strip() != "" and "," not in value and not value.startswith("[")


def is_same(first: str, second: str, kind: str) -> bool:
    """Whether two texts mean one value: `1e-3` and `0.001`, `a,b` and `["a", "b"]`."""
    return first == second or _meaning(first, kind) == _meaning(second, kind)


def _meaning(text: str, kind: str) -> Any:
    if kind in (forms.TEXT, forms.CHOICE):
        return text
    if kind == forms.LIST and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text.lower() if kind == forms.BOOLEAN else text)
    except json.JSONDecodeError:
        return text


def filled(empty: Field, default: Any, earlier: Any, given: str | None, start: str | None = None) -> Field:
    """A field with its values.

    Args:
        empty: what is known of the setting.
        default: what the source says; ABSENT-like None where nothing does.
        earlier: what the run before had; None where there is none.
        given: what somebody typed; None: nothing.
        start: what stands there while nobody has typed; None: the default.
    """
    default_text = None if default is None else as_text(default)
    earlier_text = None if earlier is None else as_text(earlier)
    value = next((text for text in (given, start, default_text) if text is not None), "")
    # A text that means the same as the default is the default: 1e-3 is not a change of 0.001.
    if default_text is not None and is_same(value, default_text, empty.kind):
        value = default_text
    if earlier_text is not None and is_same(earlier_text, value, empty.kind):
        earlier_text = value
    return dataclasses.replace(empty, value=value, default=default_text, earlier=earlier_text)

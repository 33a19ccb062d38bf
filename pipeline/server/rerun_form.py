"""The form of a rerun: the settings that a task had, what somebody changed, and what is wrong with it."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.engine import ir, rerun, values
from pipeline.engine.records import Task
from pipeline.errors import PipelineError
from pipeline.server.domain import recipes as forms
from pipeline.server.domain.recipes import Field, Group, Recipes

PREFIX = "v."  # of a setting among the fields of the form and of the address
LONG = 48  # characters from which a value gets an area, not a line
_KINDS = {
    values.STRING: forms.TEXT,
    values.INTEGER: forms.INTEGER,
    values.DOUBLE: forms.NUMBER,
    values.BOOLEAN: forms.BOOLEAN,
    values.LIST: forms.LIST,
    values.STRUCT: forms.STRUCT,
}
LINES = "lines"  # kind of a struct whose entries are edited as lines `train.epochs=3`


@dataclass(frozen=True)
class Filled:
    """A form as somebody filled it in.

    Attributes:
        groups: the settings with their values and errors.
        changes: what differs from what the task had, as `--set` takes it: `epochs` or `model.train.epochs` to text.
        overrides: the same for the engine; only what is right.
        error: what is wrong with the whole.
    """

    groups: Sequence[Group]
    changes: Mapping[str, str]
    overrides: Mapping[str, Any]
    error: str = ""

    @property
    def errors(self) -> int:
        """How many settings are wrong."""
        return sum(bool(f.error) for g in self.groups for f in g.fields) + bool(self.error)


def read(recipes: Recipes, task: Task, component: ir.Component, given: Mapping[str, str]) -> Filled:
    """Fills the form of a task.

    Args:
        recipes: knows the settings of our own steps.
        task: with the inputs that it had.
        component: its interface.
        given: name of a setting -> what was typed; the rest stays as it was.
    """
    groups: list[Group] = []
    changes: dict[str, str] = {}
    overrides: dict[str, Any] = {}
    known = {field.name for group in _groups(recipes, task, component) for field in group.fields}
    for group in _groups(recipes, task, component):
        fields = []
        for empty in group.fields:
            field = _typed_in(empty, given)
            own, error = _changes(field)
            error = error or _problem(recipes, task, component, field, own)
            changes |= own
            overrides |= {} if error else {path: _for_engine(text, field.kind) for path, text in own.items()}
            fields.append(dataclasses.replace(field, error=error))
        groups.append(dataclasses.replace(group, fields=fields))
    unknown = [name for name in given if name not in known]
    return Filled(groups, changes, overrides, f"{task.label} has no setting {unknown[0]!r}" if unknown else "")


def asked(pairs: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """The settings among the fields of a form or an address."""
    found = {name.removeprefix(PREFIX): str(value) for name, value in pairs if name.startswith(PREFIX)}
    return {name: text.replace("\r\n", "\n") for name, text in found.items()}


def _groups(recipes: Recipes, task: Task, component: ir.Component) -> list[Group]:
    """The knobs of the step, where it is one of ours, and the rest of its inputs."""
    ours = [field for field in recipes.knobs(task) if field.name.split(".")[0] in component.parameters]
    knobs = [_with_earlier(field) for field in ours]
    named = {field.name for field in knobs} | {field.label for field in knobs}
    rest = [
        _input(parameter, task, named)
        for name, parameter in component.parameters.items()
        if name not in named and parameter.kind in _KINDS
    ]
    if not knobs:
        return [Group("inputs", "Settings", rest)] if rest else []
    note = "References and structs that the pipeline handed over. Change them only to try something out."
    return [Group("settings", "Settings", knobs), Group("inputs", "What the pipeline hands over", rest, note)]


def _with_earlier(field: Field) -> Field:
    return field if field.earlier is not None else dataclasses.replace(field, earlier=field.value)


def _input(parameter: ir.Parameter, task: Task, taken: set[str]) -> Field:
    """An input as a field; of a struct only the entries that have no field of their own."""
    default = None if parameter.default is ir.ABSENT else parameter.default
    value = task.inputs.parameters.get(parameter.name, default)
    kind = _KINDS[parameter.kind]
    if kind == forms.STRUCT and _has_plain_keys(value):
        kind, text = LINES, _lines(parameter.name, value or {}, taken)
    else:
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Field(parameter.name, parameter.name, kind, text, earlier=text, help=parameter.description)


def _has_plain_keys(value: Any) -> bool:
    """Whether the entries can be written as lines: no dot or equals sign in a key."""
    if not isinstance(value, dict):
        return value is None
    return all(
        k and k == k.strip() and not set(k) & set(".=\n") and (not isinstance(v, dict) or not v or _has_plain_keys(v))
        for k, v in value.items()
    )


def _lines(name: str, struct: Mapping[str, Any], taken: set[str]) -> str:
    leaves = {path: value for path, value in _leaves(struct) if f"{name}.{path}" not in taken}
    return "\n".join(f"{path}={_entry(value)}" for path, value in leaves.items())


def _leaves(struct: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in struct.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield above + key, value


def _entry(value: Any) -> str:
    """An entry as the engine reads it back: JSON, or text where that is no JSON."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    try:
        json.loads(value)
    except ValueError:
        is_line = value == value.strip() and "\n" not in value and "\r" not in value
        return value if is_line else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _typed_in(empty: Field, given: Mapping[str, str]) -> Field:
    text = given.get(empty.name)
    if text is None or text.strip() == (empty.earlier or "").strip():
        return empty
    return dataclasses.replace(empty, value=text)


def _changes(field: Field) -> tuple[dict[str, str], str]:
    """What a field changes, and what is wrong with its lines."""
    if not field.differs_from_earlier:
        return {}, ""
    if field.kind != LINES:
        return {field.name: field.value.strip() if field.kind != forms.TEXT else field.value}, ""
    before, after = _entries(field.earlier or ""), _entries(field.value)
    if broken := next((line for line, value in after.items() if value is None), ""):
        return {}, f"line {broken!r} has no value; expected a line like train.epochs=3"
    if gone := [path for path in before if path not in after]:
        return {}, f"{gone[0]} is gone; a rerun changes or adds entries, it takes none away"
    return {f"{field.name}.{path}": text or "" for path, text in after.items() if before.get(path) != text}, ""


def _entries(text: str) -> dict[str, str | None]:
    """Lines `path=value` as a mapping; None for a line without value."""
    found: dict[str, str | None] = {}
    for line in filter(None, map(str.strip, text.replace("\r\n", "\n").split("\n"))):
        path, _, value = line.partition("=")
        is_entry = "=" in line and path.strip()
        found[path.strip() if is_entry else line] = value.strip() if is_entry else None
    return found


def _problem(recipes: Recipes, task: Task, component: ir.Component, field: Field, own: Mapping[str, str]) -> str:
    """Why the step or the engine would refuse a change; empty when they would not."""
    for path, text in own.items():
        try:
            recipes.check_changes(task, {path: text})
            rerun.typed_overrides(component, task.inputs.parameters, {path: _for_engine(text, field.kind)})
        except PipelineError as error:
            return str(error).removeprefix(f"--set {path}={text}: ")
    return ""


def _for_engine(text: str, kind: str) -> Any:
    """Lists may be typed with commas and truth in capitals, which the engine's JSON does not know."""
    if kind == forms.LIST and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text.lower() if kind == forms.BOOLEAN else text

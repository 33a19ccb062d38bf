"""What `seamline rerun --set` changes in a task of ours: read, and checked by its step's knobs, before it runs."""

import copy
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from components import entry, knobs
from components.entry import LAYERS
from components.errors import SettingsError
from pipeline.engine import graph
from pipeline.engine.records import Task
from pipeline.errors import RecipeError
from pipeline.recipe_steps import STEPS

NO_TABLES = ("name", "seed", "start")  # entries of an attribute or a model beside its tables of knobs


def typed(task: Task, changes: Mapping[str, str]) -> dict[str, Any]:
    """The changes as the engine takes them: knobs of our steps by their types, all else as the text it is.

    Args:
        task: the task to repeat.
        changes: `epochs` or `model.train.epochs` -> text of the value.

    Raises:
        RecipeError: an unknown knob, a value that the step would refuse, or a change that would do nothing: of a knob
            that the attribute or model sets for itself, or in a table that the task does not read.
    """
    step = graph.function_of(task.component)
    if step not in STEPS:
        return dict(changes)
    found = {path: _typed(task, step, path, text) for path, text in changes.items()}
    _refuse_contradictions(task, step, found)
    return found


def _typed(task: Task, step: str, path: str, text: str) -> Any:
    module, (name, *inside) = STEPS[step], path.split(".")
    if name in LAYERS and inside and inside[0] not in NO_TABLES:
        _refuse_unread(task, step, path, text)
        return _value(module.Settings, inside[-1], path, text)
    if name in {field.name for field in fields(module.Inputs)}:
        _refuse_overruled_seed(task, name, text)
        return text  # the engine knows its type
    if inside:  # as in a recipe, where the knobs of all tasks have one table each
        hint = knobs.nearest(inside[-1], knobs.types_of(module.Settings))
        raise RecipeError(f"--set {path}={text}: {path} is not a setting of one task{hint}")
    _refuse_overruled(task, step, name, text)
    return _value(module.Settings, name, name, text)


def _refuse_unread(task: Task, step: str, path: str, text: str) -> None:
    layer, table, *knob = path.split(".")
    known = entry.tables(STEPS[step], task.inputs.parameters)
    if table not in known or len(knob) != 1:
        hint = knobs.nearest(table, known) or f"; give --set {layer}.{known[-1]}.KNOB=VALUE"
        raise RecipeError(f"--set {path}={text}: {task.label} reads no {path}{hint}")


def _refuse_overruled_seed(task: Task, name: str, text: str) -> None:
    own = (task.inputs.parameters.get("model") or {}).get(entry.SEED)
    if name == entry.SEED and own is not None:
        raise RecipeError(
            f"the model has its own seed {own}, which counts before seed={text}; give --set model.seed={text}"
        )


def _refuse_overruled(task: Task, step: str, name: str, text: str) -> None:
    for layer in LAYERS:
        for table in entry.tables(STEPS[step], task.inputs.parameters):
            own = (task.inputs.parameters.get(layer) or {}).get(table) or {}
            if name in own:
                raise RecipeError(
                    f"{name} is set to {own[name]!r} for this {layer}, which counts before {name}={text}; "
                    f"give --set {layer}.{table}.{name}={text}"
                )


def _value(settings: type, name: str, path: str, text: str) -> Any:
    """A knob's new value as the step will read it."""
    types = knobs.types_of(settings)
    try:
        value = knobs.parse(text, types[name]) if name in types else text
        knobs.from_mapping(settings, {name: value}, where=path.rpartition(".")[0] if path != name else "")
    except SettingsError as error:
        raise RecipeError(f"--set {path}={text}: {error}") from error
    return value


def _refuse_contradictions(task: Task, step: str, found: Mapping[str, Any]) -> None:
    """All knobs of the task as they will be: each may be right and two of them not fit together."""
    values = copy.deepcopy(dict(task.inputs.parameters))
    for path, value in found.items():
        *tables, name = path.split(".")
        table = values
        for part in tables:
            table = table.setdefault(part, {})
        table[name] = value
    try:
        entry.effective(STEPS[step], values)
    except SettingsError as error:
        raise RecipeError(str(error)) from error

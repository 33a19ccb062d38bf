"""What `seamline rerun --set` changes in a task of our pipeline, checked by its step's knobs before anything runs."""

from collections.abc import Mapping

from components import knobs
from components.errors import SettingsError
from pipeline.engine import graph
from pipeline.engine.records import Task
from pipeline.errors import RecipeError
from pipeline.recipe import GROUPS, STEPS

LAYERS = ("attribute", "model")


def check(task: Task, changes: Mapping[str, str]) -> None:
    """Refuses a change that the step would refuse, or that would do nothing. Tasks of other pipelines pass.

    Args:
        task: the task to repeat.
        changes: `epochs` or `model.train.epochs` -> text of the value.

    Raises:
        RecipeError: an unknown knob, a value that does not fit, or a knob that the attribute or model sets for itself.
    """
    step = graph.function_of(task.component)
    if step not in STEPS:
        return
    for path, text in changes.items():
        name, *inside = path.split(".")
        if not inside:
            _refuse_overruled(task, step, name, text)
            _check_value(step, name, text, name)
        elif name in LAYERS and len(inside) == 2 and (table := GROUPS.get(inside[0], inside[0])) in STEPS:
            _check_value(table, inside[1], text, path)


def _refuse_overruled(task: Task, step: str, name: str, text: str) -> None:
    parameters = task.inputs.parameters
    for layer in LAYERS:
        for table in (step, parameters.get("phase")):
            own = (parameters.get(layer) or {}).get(table) or {}
            if name in own:
                raise RecipeError(
                    f"{name} is set to {own[name]!r} for this {layer}, which counts before {name}={text}; "
                    f"give --set {layer}.{table}.{name}={text}"
                )


def _check_value(step: str, name: str, text: str, path: str) -> None:
    """A knob's new value as the step will read it. What is no knob is an input: the engine knows its type."""
    settings = STEPS[step].Settings
    types = knobs.types_of(settings)
    if name not in types and path == name:
        return
    try:
        value = knobs.parse(text, types[name]) if name in types else text
        knobs.from_mapping(settings, {name: value}, where=path.rpartition(".")[0])
    except SettingsError as error:
        raise RecipeError(f"--set {path}={text}: {error}") from error

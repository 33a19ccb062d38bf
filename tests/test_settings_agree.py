"""A step's knobs are declared once; its component, its command line and the recipes must know exactly the same set."""

import re
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from components import entry, knobs
from pipeline import compile as compiler
from pipeline import recipe
from pipeline.recipe_steps import PIPELINES

ROOT = Path(__file__).resolve().parent.parent
KFP_TYPES = {str: "String", int: "Integer", float: "Float", bool: "Boolean", list: "List", dict: "Dict"}
OWN_FLAGS = {"help", "executor-input", "out"}
STEPS = sorted(recipe.STEPS)
SMALLEST: dict[str, dict[str, Any]] = {
    "main": {"name": "smallest", "attributes": {"one": {}}, "models": {"one": {}}},
    "detection": {"name": "smallest", "pipeline": "detection"},
    "study": {"name": "smallest", "pipeline": "study", "attributes": {"one": {}}, "models": {"one": {}}},
}


def declared(settings: ModuleType) -> set[str]:
    return {f.name for cls in (settings.Inputs, settings.Settings) for f in fields(cls)}


def smallest_with(step: str) -> dict[str, Any]:
    """The smallest recipe for a pipeline that has the step."""
    return next(SMALLEST[name] for name, one in PIPELINES.items() if step in one.groups.values())


def component_of(step: str) -> Any:
    return getattr(import_module(f"components.{step}.component"), step).component_spec


@pytest.mark.parametrize("step", STEPS)
def test_the_component_takes_the_inputs_and_knobs_of_the_step_with_their_types(step: str) -> None:
    settings = recipe.STEPS[step]
    types = knobs.types_of(settings.Inputs) | knobs.types_of(settings.Settings)
    taken = {name: spec.type for name, spec in component_of(step).inputs.items()}
    assert taken == {name: KFP_TYPES[kind] for name, kind in types.items()}


@pytest.mark.parametrize("step", STEPS)
def test_the_component_gives_the_results_and_artifacts_of_the_step(step: str) -> None:
    settings = recipe.STEPS[step]
    assert set(component_of(step).outputs) == set(settings.RESULTS) | set(settings.ARTIFACTS)


@pytest.mark.parametrize("step", STEPS)
def test_no_name_is_declared_twice_in_a_step(step: str) -> None:
    settings = recipe.STEPS[step]
    names = [f.name for cls in (settings.Inputs, settings.Settings) for f in fields(cls)]
    names += [*settings.RESULTS, *settings.ARTIFACTS]
    assert sorted(names) == sorted(set(names)), "KFP has one name space for inputs and outputs"


@pytest.mark.parametrize("step", STEPS)
def test_the_command_line_has_a_flag_for_every_input_and_knob(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        entry.main(recipe.STEPS[step], lambda *_: entry.Summary({}), ["--help"])
    flags = set(re.findall(r"^  (?:-h, )?--([a-z0-9-]+)", capsys.readouterr().out, re.MULTILINE))
    assert ended.value.code == 0
    assert flags - OWN_FLAGS == {name.replace("_", "-") for name in declared(recipe.STEPS[step])}


@pytest.mark.parametrize(("group", "step"), sorted(recipe.GROUPS.items()))
def test_a_recipe_takes_every_knob_of_every_group_and_makes_it_a_root_parameter(group: str, step: str) -> None:
    defaults = knobs.as_mapping(recipe.STEPS[step].Settings())
    read = recipe.parse(smallest_with(step) | {group: defaults})
    own = {
        n
        for n in compiler.root_parameters(read)
        if n.startswith(f"{group}_") and n.removeprefix(f"{group}_") in defaults
    }
    assert knobs.as_mapping(read.groups[group]) == defaults
    assert own == {f"{group}_{name}" for name in defaults}


@pytest.mark.parametrize("step", STEPS)
def test_a_recipe_takes_no_input_of_a_step_as_a_knob(step: str) -> None:
    for field in fields(recipe.STEPS[step].Inputs):
        with pytest.raises(recipe.RecipeError, match=f"{step}.{field.name} is not a setting"):
            recipe.parse(smallest_with(step) | {step: {field.name: "x"}})


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_step_explains_itself_on_its_own(step: str) -> None:
    command = [sys.executable, "-m", f"components.{step}", "--help"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    missing = [name for name in declared(recipe.STEPS[step]) if f"--{name.replace('_', '-')} " not in ended.stdout]
    assert missing == []

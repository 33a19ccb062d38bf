"""The compiled pipeline: its shape, its parameters, and that a change of it is always seen."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import components as kfp_components

from pipeline import compile as compiler
from pipeline import ir_checks, recipe
from pipeline.engine import irtext
from pipeline.ir_shape import Shape, read

GOLDEN = Path(__file__).parent / "golden" / "demo.yaml"
RECIPES = ("demo", "fashion_mnist", "fashionai")
SWITCHES = (
    [],
    ["generations.round2=false"],
    ["generations.pseudo=false"],
    ["generations.round2=false", "generations.pseudo=false"],
)
Compiled = Callable[..., str]


def edges(shape: Shape, dag: str) -> dict[str, list[str]]:
    """Display name of every task to those it waits for."""
    tasks = {task.name: task for task in shape.tasks_of(dag)}
    return {t.shown: sorted(tasks[n].shown for n in t.body.get("dependentTasks", [])) for t in tasks.values()}


def test_the_compiled_demo_is_the_golden_file(compiled: Compiled, update_golden: bool) -> None:
    text = compiled("demo")
    if update_golden:
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8"), "review the change and run `make golden`"


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("switches", SWITCHES)
def test_every_recipe_is_safe_for_kubeflow_whatever_is_switched_off(
    compiled: Compiled, name: str, switches: list[str]
) -> None:
    assert [str(finding) for finding in ir_checks.check(compiled(name, *switches))] == []


@pytest.mark.parametrize("name", RECIPES)
def test_kfp_loads_what_we_compile(compiled: Compiled, name: str) -> None:
    loaded = kfp_components.load_component_from_text(compiled(name))
    assert set(loaded.component_spec.inputs) == set(compiler.root_parameters(recipe.load(name)))


@pytest.mark.parametrize("name", RECIPES)
def test_the_embedded_engine_reads_what_we_compile(compiled: Compiled, name: str) -> None:
    pipeline = irtext.read(compiled(name))
    assert pipeline.name == name.replace("_", "-")


def test_compiling_twice_gives_the_same_bytes_even_in_another_process(compiled: Compiled) -> None:
    code = "from pipeline import compile, recipe; print(compile.compile_recipe(recipe.load('fashionai')), end='')"
    environment = os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment)
    assert ended.stdout == compiled("fashionai"), ended.stderr
    assert compiler.compile_recipe(recipe.load("fashionai")) == compiled("fashionai")


def test_the_main_pipeline_has_the_tasks_and_edges_of_the_design(compiled: Compiled) -> None:
    shape = read(compiled("demo"))
    assert edges(shape, "root") == {
        "ingest": [],
        "attribute": ["ingest"],
        "report": ["attribute", "ingest"],
        "promote": ["attribute", "ingest", "report"],
    }
    assert edges(shape, "comp-for-loop-1") == {
        "preprocess": [],
        "model": ["preprocess"],
        "pseudo-label": ["model", "preprocess"],
        "student": ["preprocess", "pseudo-label"],
        "ensemble": ["model", "student"],
    }
    assert edges(shape, "comp-for-loop-2") == {
        "train-round1": [],
        "train-round2": ["train-round1"],
        "predict-teachers": ["train-round2"],
    }
    assert edges(shape, "comp-for-loop-3") == {"train-student": [], "predict-students": ["train-student"]}


def test_without_round_2_the_teacher_is_round_1s_model(compiled: Compiled) -> None:
    shape = read(compiled("demo", "generations.round2=false"))
    assert edges(shape, "comp-for-loop-2") == {"train-round1": [], "predict-teachers": ["train-round1"]}
    ensemble = next(task for task in shape.tasks if task.shown == "ensemble")
    assert ensemble.inputs()["earlier"] == {"runtimeValue": {"constant": []}}


def test_without_pseudo_labels_there_is_no_second_generation(compiled: Compiled) -> None:
    shape = read(compiled("demo", "generations.pseudo=false"))
    assert edges(shape, "comp-for-loop-1") == {"preprocess": [], "model": ["preprocess"], "ensemble": ["model"]}
    ensemble = next(task for task in shape.tasks if task.shown == "ensemble")
    assert ensemble.inputs()["students"] == {"runtimeValue": {"constant": []}}
    names = {name for name in compiler.root_parameters(recipe.load("demo", ["generations.pseudo=false"]))}
    assert not [name for name in names if name.startswith(("student_", "pseudo_label_"))]


def test_every_knob_is_a_typed_described_root_parameter_with_the_recipes_value(compiled: Compiled) -> None:
    read_recipe = recipe.load("demo", ["round2.epochs=3"])
    defined = root_inputs(compiled("demo", "round2.epochs=3"))
    assert defined["round2_epochs"] == {
        "defaultValue": 3.0,
        "description": compiler.root_parameters(read_recipe)["round2_epochs"].help,
        "isOptional": True,
        "parameterType": "NUMBER_INTEGER",
    }
    values = compiler.pipeline_parameters(read_recipe)
    assert {n: d["defaultValue"] for n, d in defined.items() if "defaultValue" in d} == values
    assert all(definition.get("description") and definition.get("parameterType") for definition in defined.values())


def test_rounds_and_data_root_must_be_given_where_the_recipe_leaves_them_open(compiled: Compiled) -> None:
    open_ones = {name for name, definition in root_inputs(compiled("demo")).items() if not definition.get("isOptional")}
    assert open_ones == {"rounds", "data_root"}
    given = recipe.load("fashionai", ["data.rounds=gs://b/base,gs://b/round2", "data_root=gs://b/data"])
    assert compiler.pipeline_parameters(given)["rounds"] == [
        {"name": "round1", "uri": "gs://b/base", "digest": ""},
        {"name": "round2", "uri": "gs://b/round2", "digest": ""},
    ]
    assert root_inputs(compiler.compile_recipe(given))["data_root"]["defaultValue"] == "gs://b/data"


def test_every_container_gets_everything_through_the_executor_input(compiled: Compiled) -> None:
    for executor in read(compiled("fashionai")).executors.values():
        assert executor["container"]["args"] == ["--executor-input", "{{$}}"]
        assert executor["container"]["command"][:2] == ["python", "-m"]


def root_inputs(text: str) -> dict[str, dict[str, Any]]:
    return dict(read(text).spec["root"]["inputDefinitions"]["parameters"])

"""The detection pipeline: one step after the other, its own parameters only, and GPUs where it learns and looks."""

import re
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise

import pytest

from pipeline import compile as compiler
from pipeline import ir_checks, recipe
from pipeline.ir_shape import read
from pipeline.recipe_steps import FILES, PIPELINES

Compiled = Callable[..., str]
RECIPES = ("boats", "boats_demo")
DIGESTS = {f"{group}_files_digest" for group in FILES}
STEPS = ["openimages-subset", "transfer", "boxes-prepare", "split", "detect-train", "detect-test"]


@pytest.mark.parametrize("name", RECIPES)
def test_the_steps_follow_each_other(compiled: Compiled, name: str) -> None:
    tasks = {task.name: task.body.get("dependentTasks", []) for task in read(compiled(name)).tasks}
    assert list(tasks) and set(tasks) == set(STEPS)
    for before, after in pairwise(STEPS):
        assert before in tasks[after]
    assert tasks[STEPS[0]] == []


def test_the_test_gets_the_same_split_as_the_training(compiled: Compiled) -> None:
    inputs = {task.name: task.inputs() for task in read(compiled("boats_demo")).tasks}
    assert inputs["detect-train"]["boxes"] == inputs["detect-test"]["boxes"]


def test_the_place_of_the_files_reaches_whoever_reads_files(compiled: Compiled) -> None:
    takers = {task.name for task in read(compiled("boats_demo")).tasks if "source" in task.inputs()}
    assert takers == {"openimages-subset", "transfer", "boxes-prepare"}


def test_what_the_files_hold_reaches_every_step_that_names_files(compiled: Compiled) -> None:
    inputs = {task.name: task.inputs() for task in read(compiled("boats")).tasks}
    taken = {name: own["files_digest"] for name, own in inputs.items() if "files_digest" in own}
    assert taken == {group.replace("_", "-"): {"componentInputParameter": f"{group}_files_digest"} for group in FILES}


def test_every_knob_that_names_a_file_counts_with_the_files_content() -> None:
    naming = {
        (group, field.name)
        for group, settings in recipe.load("boats").groups.items()
        for field in fields(settings)
        if re.search(r"\bfiles?\b|gs://", field.metadata["help"])
        and isinstance(getattr(settings, field.name), str | list)
        and not field.metadata["choices"]
    }
    assert naming == {(group, name) for group, names in FILES.items() for name in names}


def test_it_has_a_parameter_for_every_knob_and_none_of_the_main_pipeline() -> None:
    read_recipe = recipe.load("boats_demo")
    names = set(compiler.root_parameters(read_recipe))
    knobs = {f"{group}_{knob}" for group, settings in read_recipe.groups.items() for knob in vars(settings)}
    assert names == knobs | DIGESTS | {"source", "data_root", "seed"}
    assert set(read_recipe.groups) == set(PIPELINES["detection"].groups)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("gpu", ["true", "false"])
def test_gpus_go_to_the_training_and_the_test_only(compiled: Compiled, name: str, gpu: str) -> None:
    room = [f"placement.memory_gb.{step}=16" for step in ("detect_train", "detect_test")]
    text = compiled(name, f"placement.gpu={gpu}", *room)
    shape = read(text)
    with_gpu = {
        task.name for task in shape.tasks if "accelerator" in shape.executors[task.executor]["container"]["resources"]
    }
    assert with_gpu == ({"detect-train", "detect-test"} if gpu == "true" else set())
    images = {task.name: shape.executors[task.executor]["container"]["image"] for task in shape.tasks}
    assert {step for step, image in images.items() if "gpu" in image} == with_gpu
    assert ir_checks.check(text) == []


@pytest.mark.parametrize("name", RECIPES)
def test_groups_stay_where_our_trainer_and_test_know_them_for_groups(name: str) -> None:
    groups = recipe.load(name).groups
    assert groups["detect_train"].trainer == "keras" and not groups["boxes_prepare"].drop_group_of


def test_the_real_recipe_names_every_file_by_its_full_address() -> None:
    subset = recipe.load("boats").groups["openimages_subset"]
    addresses = [*subset.boxes_csv, *subset.images_csv, subset.classes_csv]
    assert all(address.startswith("https://storage.googleapis.com/openimages/") for address in addresses)
    assert subset.class_names == ["Boat"]

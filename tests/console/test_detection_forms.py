"""The console knows a detection pipeline as it knows the main one: forms, data, headline, page, groups of settings."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import compile as compiling
from pipeline import recipe as recipes
from pipeline.console import data_source, pipeline_form, recipe_form
from pipeline.console.recipes import LocalRecipes
from pipeline.console.results import LocalResults
from pipeline.console.rounds import LocalRounds
from pipeline.engine.catalogue import Catalogue, Labels
from pipeline.engine.records import Run, Task
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.store import Store
from pipeline.engine.values import Artifact, Values
from pipeline.recipe_steps import PIPELINES
from pipeline.recipe_tables import Data
from pipeline.server.domain.recipes import Asked, Form, Source

GROUPS = list(PIPELINES["detection"].groups)
STEPS_OF_MAIN = ("ingest", "round1", "promote", "attributes", "models", "generations")


class Tasks:
    """A reader of tasks by their keys."""

    def __init__(self, *found: Task) -> None:
        self._found = {task.key: task for task in found}

    def task_at(self, run_id: str, key: str) -> Task | None:
        return self._found.get(key)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


def form_of(store: Store, name: str, data: str = "", **values: str) -> Form:
    asked = Asked("recipe", name, {key.replace("__", "."): value for key, value in values.items()}, data)
    return LocalRecipes().form(store, asked)


def judged(page: Path, **metrics: Any) -> Task:
    outputs = {"page": (Artifact("page", "system.HTML", str(page)),)}
    outputs |= {"metrics": (Artifact("metrics", "system.Metrics", "m", metadata=metrics),)}
    done = Values({"ap50": "0.9"}, outputs)
    return Task("r", "detect-test", "detect-test", "detect-test", "task", "", "comp", TaskState.SUCCEEDED, outputs=done)


def run_with(parameters: Mapping[str, Any]) -> Run:
    return Run("r", "boats", "boats", RunState.SUCCEEDED, parameters=dict(parameters))


@pytest.mark.parametrize("name", ["boats", "boats_demo"])
def test_the_form_has_the_tables_of_its_pipeline_and_says_what_the_recipe_says(store: Store, name: str) -> None:
    form = form_of(store, name)
    names = [group.name for group in form.groups]
    assert names[-len(GROUPS) :] == GROUPS and not set(names) & set(STEPS_OF_MAIN)
    assert recipe_form.overrides(form) == [] and recipe_form.filled_recipe(form) == recipes.load(name)
    assert form.is_valid and form.data_kind == "source"


def test_a_value_becomes_an_override_and_a_mistake_stands_beside_its_field(store: Store) -> None:
    form = form_of(store, "boats_demo", boxes_prepare__size_px="96")
    assert recipe_form.overrides(form) == ["boxes_prepare.size_px=96"]
    wrong = form_of(store, "boats_demo", boxes_prepare__size_px="5000")
    assert [one.name for one in wrong.fields if one.error] == ["boxes_prepare.size_px"]


def test_both_recipes_are_offered(store: Store) -> None:
    assert {"boats", "boats_demo"} <= {source.name for source in LocalRecipes().sources(store)}


def test_a_folder_is_asked_for_where_it_is_given_and_nothing_where_settings_name_all_files(
    store: Store, tmp_path: Path
) -> None:
    assert form_of(store, "boats").data_said == "the addresses in the settings"
    assert "data set boats" in form_of(store, "boats_demo").data_said
    assert "does not exist" in form_of(store, "boats", str(tmp_path / "none")).data_error


def test_of_the_data_set_s_settings_only_its_own_are_shown() -> None:
    from pipeline.console import fields

    known = fields.of_settings(Data, "data.")
    shown = {name: set(data_source.relevant(known, Data(dataset=name))) for name in ("boats", "demo", "fashion_mnist")}
    assert "images" in shown["boats"] & shown["demo"] and "images" not in shown["fashion_mnist"]
    assert "pool" in shown["fashion_mnist"] and "pool" not in shown["boats"] | shown["demo"]


def test_preparing_gives_the_folder_as_the_pipeline_s_parameter(store: Store, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "boxes.csv").write_text("")
    made = LocalRecipes().prepare(store, Asked("recipe", "boats", {}, str(tmp_path / "files")))
    digests = dict.fromkeys(pipeline_form.MADE_HERE, "")  # the recipe names files on the web only
    assert made.parameters == digests | {
        "source": str(tmp_path / "files"),
        "data_root": str(store.directory / "data"),
    }
    assert made.labels["recipe"] == "boats"


def test_a_run_of_a_compiled_pipeline_gets_the_digests_of_its_files(store: Store, tmp_path: Path) -> None:
    text, known = compiling.compile_recipe(recipes.load("boats")), Catalogue(store)
    version = known.latest(known.create(Labels("boats"), 1.0, text).pipeline_id)
    (tmp_path / "start.weights").write_text("first")
    asked = Asked("version", version.version_id, {"detect_train_weights": str(tmp_path / "start.weights")})
    first = LocalRecipes().prepare(store, asked).parameters
    (tmp_path / "start.weights").write_text("second")
    second = LocalRecipes().prepare(store, asked).parameters
    assert {name for name in first if first[name] != second[name]} == {"detect_train_files_digest"}
    assert not pipeline_form.MADE_HERE & {field.name for field in LocalRecipes().form(store, asked).fields}


def test_a_compiled_detection_pipeline_is_known_as_ours(tmp_path: Path) -> None:
    text = compiling.compile_recipe(recipes.load("boats"))
    source = Source("version", "v", "boats")
    form = pipeline_form.form(source, text, {}, str(tmp_path), None)
    by_name = {one.name: one for one in form.fields}
    assert [group.name for group in form.groups][1:] == GROUPS and form.data_kind == "source"
    assert by_name["boxes_prepare_encoding"].choices == ("jpeg", "png")
    assert "source" not in pipeline_form.parameters(replace(form, data="/given"), text)
    wrong = pipeline_form.form(source, text, {"split_train_share": "2"}, "", None)
    assert [one.name for one in wrong.fields if one.error] == ["split_train_share"]


def test_the_headline_is_ap50_and_the_report_is_the_page_of_the_test(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    reader, run, results = Tasks(judged(page, ap50=0.91)), run_with({}), LocalResults()
    headline = results.headline(reader, run)  # type: ignore[arg-type]
    assert headline and (headline.name, headline.value) == ("AP50 on test pictures", 0.91)
    assert results.report(reader, run) is None  # type: ignore[arg-type]
    page.write_text("<html>")
    assert results.report(reader, run) == page  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "pipeline"), [("boats", "detection"), ("demo", "main")])
def test_the_parameters_of_a_run_are_shown_in_the_groups_of_its_pipeline(name: str, pipeline: str) -> None:
    parameters = dict.fromkeys(compiling.root_parameters(recipes.load(name)))
    assert LocalResults().groups(run_with(parameters)) == list(PIPELINES[pipeline].groups)
    assert LocalResults().groups(run_with({"source": 1, "colour": 2})) == []


def test_recipes_without_rounds_are_not_offered_for_watching() -> None:
    offered = LocalRounds(lambda _: None).recipes()  # type: ignore[arg-type, return-value]
    assert "demo" in offered and not {"boats", "boats_demo"} & set(offered)

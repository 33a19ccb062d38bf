"""A recipe as a form: what stands in it is what `seamline run` would do, also for a run that came before."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import recipe as recipes
from pipeline.console import data_source, outline, recipe_form, step_form
from pipeline.console.recipes import LocalRecipes
from pipeline.engine.records import Run, Task
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.store import Store
from pipeline.engine.values import Values
from pipeline.errors import RecipeError
from pipeline.recipe import GROUPS
from pipeline.server.domain.recipes import Asked, Field, Form


class Runs:
    """Runs, newest first."""

    def __init__(self, *found: Run) -> None:
        self._found = found

    def runs(self, limit: int) -> list[Run]:
        return list(self._found[:limit])

    def run(self, name: str) -> Run:
        return next(run for run in self._found if run.run_id == name)


def run_of(run_id: str, recipe: str, *overrides: str, **more: Any) -> Run:
    labels = {"recipe": recipe, "overrides": list(overrides)} | more.pop("labels", {})
    filled = recipes.load(recipe, overrides)
    parameters = {f"{g}_{k}": v for g in filled.groups for k, v in vars(filled.groups[g]).items()}
    parameters |= {"seed": filled.head.seed, "attributes": filled.attributes, "models": filled.models}
    return Run(run_id, "demo", "demo", RunState.SUCCEEDED, parameters=parameters | more, labels=labels)


def form_of(asked: Asked, *runs: Run) -> Form:
    return recipe_form.form(Runs(*runs), asked)  # type: ignore[arg-type]


def field(form: Form, name: str) -> Field:
    return next(one for one in form.fields if one.name == name)


@pytest.mark.parametrize("name", ["demo", "fashionai", "fashion_mnist"])
def test_an_untouched_form_says_exactly_what_the_recipe_says(name: str) -> None:
    form = form_of(Asked("recipe", name))
    assert recipe_form.overrides(form) == []
    assert recipe_form.filled_recipe(form) == recipes.load(name)


def test_every_knob_of_every_group_stands_in_the_form_once() -> None:
    names = [one.name for one in form_of(Asked("recipe", "demo")).fields]
    assert len(names) == len(set(names))
    whole = recipe_form.values_of(recipes.load("demo"))
    missing = {name for name in whole if name.partition(".")[0] in GROUPS} - set(names)
    assert missing == set()


def test_what_is_filled_in_becomes_the_recipe_that_the_command_would_make() -> None:
    given = {"round1.epochs": "3", "ingest.folds": "4", "models.residual.train.backbone": "tiny_cnn", "seed": "7"}
    form = form_of(Asked("recipe", "demo", given))
    expected = recipes.load("demo", [f"{k}={v}" for k, v in given.items()])
    assert recipe_form.filled_recipe(form) == expected
    assert step_form.command(form, cache=False).endswith("--no-cache")


def test_the_last_run_of_the_recipe_is_what_differences_are_told_against() -> None:
    form = form_of(Asked("recipe", "demo"), run_of("other", "fashionai"), run_of("mine", "demo", "round1.epochs=9"))
    assert form.earlier_run == "mine"
    assert [one.name for one in form.fields if one.differs_from_earlier] == ["round1.epochs"]


def test_a_clone_onto_the_recipe_takes_over_every_value_of_the_run() -> None:
    run = run_of("mine", "demo", "round1.epochs=9", "data.images=40", "models.residual.train.backbone=tiny_cnn")
    form = form_of(Asked("recipe", "demo", clone="mine"), run)
    assert sorted(recipe_form.overrides(form)) == sorted(run.labels["overrides"])
    assert [one for one in form.fields if one.differs_from_earlier] == []


def test_a_recipe_is_the_same_by_its_name_and_by_its_path() -> None:
    path = recipes.RECIPES / "demo.toml"
    assert recipe_form.shortest_name(str(path)) == recipe_form.shortest_name("demo") == "demo"


def test_a_recipe_file_with_mistakes_is_refused_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(RecipeError, match="is not TOML"):
        form_of(Asked("recipe", str(tmp_path / "bad.toml")))


def test_the_folder_of_a_cloned_run_is_found_again() -> None:
    recipe = recipes.load("fashionai")
    told = run_of("a", "fashionai", labels={"data": "/given"})
    beside = run_of("b", "fashionai", rounds=[{"uri": "/data/one"}, {"uri": "/data/two"}])
    apart = run_of("c", "fashionai", rounds=[{"uri": "/data/one"}, {"uri": "/more/two"}])
    assert [data_source.of_run(run, recipe) for run in (told, beside, apart)] == ["/given", "/data", ""]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A state folder with a finished run of the demo, whose tasks ran with the code of now."""
    made = Store.open(tmp_path)
    made.add_run(run_of("mine", "demo"), "text")
    with made.database.writing() as journal:
        made.database.update("runs", {"state": "SUCCEEDED"}, {"run_id": "mine"})
        journal(1.0, "mine", "", "test", {})
    return made


def with_code(store: Store, monkeypatch: pytest.MonkeyPatch, **other: str) -> None:
    """The tasks of the run, with another code for the steps that are named."""
    planned = outline.of_recipe(recipes.load("demo"))
    tasks = [
        replace(trained(), name=one.name, parts={"code": other.get(one.group, "now"), "command": [one.group]})
        for one in planned
    ]
    monkeypatch.setattr(store, "tasks", lambda _: tasks)
    monkeypatch.setattr("pipeline.code_identity.identity", lambda _: "now")


def reused(store: Store, cache: bool = True, **given: str) -> int:
    known = LocalRecipes()
    form = known.form(store, Asked("recipe", "demo", {k.replace("__", "."): v for k, v in given.items()}))
    return known.estimate(store, form, cache).reused


def test_a_changed_recipe_says_how_much_is_likely_reused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with_code(store, monkeypatch)
    assert reused(store) == 41  # all but the decision
    assert reused(store, student__epochs="3") == 25  # ingest, preprocess, two rounds, predict, pseudo-labels
    assert reused(store, ensemble__method="equal") == 37
    assert reused(store, seed="5") == 0
    assert reused(store, placement__retries="1") == 41
    assert reused(store, cache=False) == 0


def test_a_step_whose_code_has_changed_and_all_behind_it_are_not_reused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_code(store, monkeypatch, ensemble="then")
    assert reused(store) == 37
    with_code(store, monkeypatch, ingest="then")
    assert reused(store) == 0


def trained(**parameters: Any) -> Task:
    given = {"phase": "round1", "epochs": 4, "model": {"name": "m", "train": {"backbone": "tiny_cnn"}}} | parameters
    return Task("r", "k", "l", "train-round1", "task", "", "comp-train-2", TaskState.SUCCEEDED, inputs=Values(given))


def test_knobs_of_a_task_have_the_values_that_it_had_and_the_names_that_set_wants() -> None:
    found = {one.label: one for one in LocalRecipes().knobs(trained())}
    assert (found["epochs"].name, found["epochs"].value, found["epochs"].default) == ("epochs", "4", "10")
    assert (found["backbone"].name, found["backbone"].value) == ("model.train.backbone", "tiny_cnn")


def test_every_name_that_a_knob_is_given_passes_the_check_of_changes() -> None:
    known, task = LocalRecipes(), trained(attribute={"name": "a", "round1": {"dropout": 0.5}})
    for one in known.knobs(task):
        known.check_changes(task, {one.name: one.value})


def test_foreign_tasks_have_no_knobs() -> None:
    task = Task("r", "k", "say", "say", "task", "", "comp-say", TaskState.SUCCEEDED)
    assert LocalRecipes().knobs(task) == []

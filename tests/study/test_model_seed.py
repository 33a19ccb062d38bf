"""A model may have a seed of its own: its trainings take it, and no other task hears of it."""

import pytest

from components import entry
from components.train import settings as train
from pipeline import changes, recipe, recipe_loops
from pipeline.engine.records import Task
from pipeline.engine.states import TaskState
from pipeline.engine.values import Values
from pipeline.errors import RecipeError


def training(model: dict) -> Task:
    values = Values(parameters={"phase": "round1", "model": model})
    return Task("run", "train", "train", "train", "task", "", "comp-train", TaskState.SUCCEEDED, inputs=values)


GIVEN = {"shards": "s", "attribute": {"name": "a"}, "seed": 7}


def test_a_training_takes_the_seed_of_its_model_before_that_of_the_run() -> None:
    own, _ = entry.resolve(train, GIVEN | {"model": {"name": "m", "seed": 3.0}})
    runs, _ = entry.resolve(train, GIVEN | {"model": {"name": "m"}})
    assert (own.seed, runs.seed) == (3, 7)


def test_a_seed_of_nought_is_a_seed() -> None:
    assert entry.resolve(train, GIVEN | {"model": {"name": "m", "seed": 0}})[0].seed == 0


def test_other_tasks_of_the_model_keep_their_cache_keys() -> None:
    document = {"name": "x", "attributes": {"a": {}}, "models": {"m": {"seed": 3}, "n": {}}}
    read = recipe.parse(document)
    seeded, plain = recipe_loops.for_tasks("models", read.models, read.generations)
    assert seeded["round1"] == {"name": "m", "seed": 3} and seeded["student"] == {"name": "m", "seed": 3}
    assert seeded["predict"] == {"name": "m"}
    assert plain["round1"] == {"name": "n"}
    assert recipe_loops.as_in_recipe([seeded]) == [{"name": "m", "seed": 3}]


def test_a_rerun_is_told_where_the_seed_that_counts_is_set() -> None:
    task = training({"name": "m", "seed": 3})
    with pytest.raises(RecipeError, match="its own seed 3, which counts before seed=5; give --set model.seed=5"):
        changes.typed(task, {"seed": "5"})
    assert changes.typed(task, {"model.seed": "5"}) == {"model.seed": "5"}
    assert changes.typed(training({"name": "m"}), {"seed": "5"}) == {"seed": "5"}

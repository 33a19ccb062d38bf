"""Of an attribute or a model a task is given what its group reads, and nothing that another group reads."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import recipe, recipe_loops
from pipeline.ir_shape import read
from pipeline.recipe_tables import Generations

BOTH = Generations()
LAYERS = {"attribute", "model"}
TABLES = {loop: recipe.tables_of(loop) for loop in ("attributes", "models")}


def items(loop: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Attributes or models as a recipe has them, each with any of the tables it may have."""
    knobs = st.dictionaries(st.sampled_from(["epochs", "views", "threads"]), st.integers(), min_size=1)
    tables = st.dictionaries(st.sampled_from(TABLES[loop]), knobs)
    plain = {"name": st.sampled_from("abc")} | ({"ordinal": st.booleans()} if loop == "attributes" else {})
    return st.lists(st.builds(dict.__or__, st.fixed_dictionaries(plain), tables), min_size=1, max_size=3)


@given(data=st.data(), loop=st.sampled_from(["attributes", "models"]))
def test_nothing_that_a_recipe_asks_is_lost_on_the_way_to_the_tasks(data: st.DataObject, loop: str) -> None:
    asked = data.draw(items(loop))
    assert recipe_loops.as_in_recipe(recipe_loops.for_tasks(loop, asked, BOTH)) == asked


@given(data=st.data(), loop=st.sampled_from(["attributes", "models"]))
def test_every_item_has_every_group_because_kfp_fails_on_a_key_that_is_missing(data: st.DataObject, loop: str) -> None:
    made = recipe_loops.for_tasks(loop, data.draw(items(loop)), BOTH)
    groups = {g for g, step in recipe.GROUPS.items() if step in TABLES[loop]}
    assert all(groups <= item.keys() and item[group]["name"] == item["name"] for item in made for group in groups)


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ("models.residual.round2.epochs=3", {"round2"}),
        ("models.residual.predict.threads=4", {"predict"}),
        ("models.residual.train.epochs=3", {"round1", "round2", "student"}),
    ],
)
def test_a_changed_knob_reaches_only_the_tasks_that_read_it(change: str, touched: set[str]) -> None:
    before, after = (
        recipe_loops.for_tasks("models", recipe.load("demo", changes).models, BOTH)[1] for changes in ([], [change])
    )
    assert {group for group in before if before[group] != after[group]} == touched


def test_only_the_first_training_is_told_where_the_champion_is() -> None:
    (item,) = recipe_loops.for_tasks("models", [{"name": "one", "start": {"skirt": "d1"}}], BOTH)
    assert [group for group in item if "start" in item[group]] == ["round1"]


def test_every_task_in_a_loop_takes_the_part_of_its_group(compiled: Callable[..., str]) -> None:
    taken = {
        task.shown: {i: s["parameterExpressionSelector"].split('"')[1] for i, s in task.inputs().items() if i in LAYERS}
        for task in read(compiled("demo")).tasks
        if task.executor and LAYERS & task.inputs().keys()
    }
    both = {"train-round1": "round1", "train-round2": "round2", "train-student": "student"}
    both |= {"predict-teachers": "predict", "predict-students": "predict"}
    alone = {"preprocess": "preprocess", "pseudo-label": "pseudo_label", "ensemble": "ensemble"}
    assert taken == {task: {"attribute": g, "model": g} for task, g in both.items()} | {
        task: {"attribute": g} for task, g in alone.items()
    }


def test_a_run_made_before_groups_had_structs_reads_as_it_was() -> None:
    earlier = [{"name": "one", "train": {"epochs": 3}, "round2": {"epochs": 1}}]
    assert recipe_loops.as_in_recipe(earlier) == earlier

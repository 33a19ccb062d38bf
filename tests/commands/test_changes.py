"""What `rerun --set` may change, refused before anything runs when the step would refuse it."""

import pytest

from pipeline import changes
from pipeline.engine.records import Task
from pipeline.engine.states import TaskState
from pipeline.engine.values import Values
from pipeline.errors import RecipeError


def training(component="comp-train-2", **inputs):
    values = Values(parameters={"epochs": 3, "learning_rate": 0.1} | inputs)
    return Task("run", "train", "train", "train", "task", "", component, TaskState.SUCCEEDED, inputs=values)


def test_a_change_that_the_model_would_overrule_is_refused_with_the_one_that_works():
    task = training(phase="round2", model={"name": "residual", "round2": {"epochs": 10}})
    with pytest.raises(RecipeError, match=r"give --set model\.round2\.epochs=5"):
        changes.typed(task, {"epochs": "5"})


def test_a_change_that_nothing_overrules_is_let_through():
    task = training(phase="round2", model={"name": "residual", "round2": {"epochs": 10}}, attribute={"name": "skirt"})
    wanted = {"learning_rate": "0.2", "model.round2.epochs": "4"}
    assert changes.typed(task, wanted) == {"learning_rate": 0.2, "model.round2.epochs": 4}


def test_an_entry_for_another_step_overrules_nothing():
    task = training("comp-predict", model={"name": "residual", "train": {"batch_size": 16}})
    assert changes.typed(task, {"batch_size": "64"}) == {"batch_size": 64}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": "-5"}, "--set epochs=-5: epochs=-5 is below 1"),
        ({"epochs": "many"}, "--set epochs=many: 'many' is not an int"),
        ({"model.train.bakcbone": "x"}, "model.train.bakcbone is not a setting; did you mean backbone?"),
        ({"model.round2.epochs": "0"}, "model.round2.epochs=0 is below 1"),
        ({"epochz": "3"}, "--set epochz=3: epochz is not a setting; did you mean epochs?"),
        ({"round2.epochs": "3"}, "round2.epochs is not a setting of one task; did you mean epochs?"),
        ({"model.rond2.epochs": "3"}, "train reads no model.rond2.epochs; did you mean round2?"),
        ({"model.round1.epochs": "3"}, "train reads no model.round1.epochs; did you mean round2?"),
        ({"model.student.epochs": "3"}, "train reads no model.student.epochs; give --set model.round2.KNOB=VALUE"),
        ({"frozen_epochs": "9"}, "train.frozen_epochs=9 exceeds epochs=3; lower it"),
    ],
)
def test_a_change_that_the_step_would_refuse_is_refused_at_once(change, message):
    with pytest.raises(RecipeError) as refused:
        changes.typed(training(phase="round2", model={"name": "residual"}), change)
    assert message in str(refused.value)


def test_inputs_and_tasks_of_other_pipelines_are_left_to_the_engine():
    for task, change in (
        (training(), {"start": "x"}),
        (training("comp-say"), {"epochs": "-5"}),
        (training(), {"model.name": "x"}),
    ):
        assert changes.typed(task, change) == change


def test_lists_are_typed_with_commas_as_after_run_also_inside_a_model():
    task = training(phase="round2", model={"name": "residual"})
    wanted = {"views": "plain,flip", "model.train.decay_at": "[0.2, 0.4]", "model.round2.views": "plain"}
    assert changes.typed(task, wanted) == {
        "views": ["plain", "flip"],
        "model.train.decay_at": [0.2, 0.4],
        "model.round2.views": ["plain"],
    }

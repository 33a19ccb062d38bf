"""Settings that a task would refuse are refused when the recipe is compiled, in one line that names the task."""

import pytest
from click.testing import CliRunner

from components.train.settings import BACKBONES
from components.vision import backbones
from pipeline import recipe, recipe_checks
from pipeline.cli import main
from pipeline.errors import RecipeError

REFUSED = {
    "more frozen epochs than epochs": (
        ["round2.frozen_epochs=5", "round2.epochs=3"],
        "round2 of skirt_length_labels with plain_cnn: train.frozen_epochs=5 exceeds epochs=3; lower it",
    ),
    "one model's own epochs below the frozen ones of all": (
        ["student.frozen_epochs=2", "models.residual.student.epochs=1"],
        "student of skirt_length_labels with residual: train.frozen_epochs=2 exceeds epochs=1",
    ),
    "a view that is not made": (
        ["train.views=plain,rotate_left"],
        "round1 of skirt_length_labels with plain_cnn: views has 'rotate_left', preprocess makes plain, flip; add it",
    ),
    "a view that one attribute does not have": (
        ["preprocess.views=plain,flip,face", "attributes.collar_design_labels.preprocess.views=plain",
         "predict.views=plain,flip"],
        "predict of collar_design_labels with plain_cnn: views has 'flip', preprocess makes plain",
    ),
    "views without plain": (["preprocess.views=flip"], "preprocess.views=['flip'] lacks plain"),
    "predicted views without plain": (["predict.views=flip"], "predict.views=['flip'] lacks plain"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_what_a_task_would_refuse_is_refused_before_anything_starts(fault: str) -> None:
    changes, message = REFUSED[fault]
    with pytest.raises(RecipeError) as refused:
        recipe_checks.refuse_contradictions(recipe.load("demo", changes))
    assert message in str(refused.value)


def test_what_counts_is_what_the_task_has_in_the_end() -> None:
    changes = ["round2.frozen_epochs=12", "round2.epochs=3"]
    with pytest.raises(RecipeError, match="frozen_epochs=12 exceeds epochs=3"):
        recipe_checks.refuse_contradictions(recipe.load("demo", changes))
    changes += [f"models.{name}.round2.epochs=20" for name in ("plain_cnn", "residual")]
    recipe_checks.refuse_contradictions(recipe.load("demo", changes))


def test_what_the_pipeline_leaves_out_refuses_nothing() -> None:
    changes = ["student.frozen_epochs=50", "student.epochs=1"]
    with pytest.raises(RecipeError, match="frozen_epochs=50 exceeds epochs=1"):
        recipe_checks.refuse_contradictions(recipe.load("demo", changes))
    recipe_checks.refuse_contradictions(recipe.load("demo", ["generations.pseudo=false", *changes]))


def test_an_unknown_backbone_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(RecipeError, match=r"backbone='Xceptoin' is not one of .*; did you mean Xception\?"):
        recipe.load("demo", ["models.residual.train.backbone=Xceptoin"])


def test_the_settings_name_the_backbones_that_can_be_built() -> None:
    assert sorted(BACKBONES) == backbones.names()


@pytest.mark.parametrize("command", [["run", "demo"], ["compile", "demo", "-o", "p.yaml"]])
def test_the_commands_end_with_one_line_and_2(command: list[str], tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(main, [*command, "--set", "round2.frozen_epochs=90"])
    assert (ended.exit_code, ended.stderr.count("\n"), list(tmp_path.iterdir())) == (2, 1, [])
    assert ended.stderr.startswith("error: round2 of skirt_length_labels with plain_cnn: train.frozen_epochs=90")


def test_a_pipeline_without_attributes_is_looked_at_as_well() -> None:
    boxes = {"name": "boxes", "pipeline": "detection"}
    recipe_checks.refuse_contradictions(recipe.parse(boxes))
    for message, *texts in (
        ("boxes_prepare: boxes_prepare.size_px=100 is no multiple of 32", "boxes_prepare.size_px=100"),
        ("split: split.train_share and validation_share add up to 1.05", "split.train_share=0.95"),
        ("split: split.train_share=0 leaves no picture to learn from", "split.train_share=0"),
        (
            "split: split.train_share=0.9 and validation_share=0.1 leave no picture for the test",
            "split.train_share=0.9",
        ),
        (
            "detect_test.split=validation has no picture: split.validation_share=0; raise it",
            *("split.validation_share=0", "detect_test.split=validation"),
        ),
    ):
        with pytest.raises(RecipeError, match=f"^{message}"):
            recipe_checks.refuse_contradictions(recipe.parse(boxes, texts))

"""What only the last step of a study would refuse, after all its trainings."""

from collections.abc import Callable
from typing import Any

from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.recipe_steps import GROUPS, tables_of
from pipeline.recipe_study import JUDGED_BY, PIPELINE

SettingsOf = Callable[[str, Any, Any], Any]


def refuse_incomparable(recipe: Recipe, settings_of: SettingsOf) -> None:
    """Looks at what the trainings of a study are judged by; another recipe passes.

    Args:
        recipe: checked otherwise.
        settings_of: the settings of a group's task for an attribute and a model.

    Raises:
        RecipeError: a regression, trainings that no picture judges, or that different pictures judge.
    """
    if recipe.head.pipeline != PIPELINE:
        return
    for attribute in recipe.attributes:
        if attribute.get("task") == "regression":
            where = f"attributes.{attribute['name']}.task=regression"
            raise RecipeError(f"{where}: a study does not compare errors of numbers; leave the attribute out")
        for group in recipe.active:
            if GROUPS[group] in tables_of("models"):
                _refuse_task(recipe, group, attribute, settings_of)


def _refuse_task(recipe: Recipe, group: str, attribute: Any, settings_of: SettingsOf) -> None:
    first, *others = recipe.models
    judged = _judged_by(settings_of(group, attribute, first))
    folds = recipe.groups["ingest"].folds
    if judged.get("fold", 0) >= folds:
        raise RecipeError(
            f"{group}.fold={judged['fold']}: there are {folds} folds, nothing would judge; give 0 to {folds - 1}"
        )
    if "valid" not in judged.get("splits", ["valid"]):
        raise RecipeError(f'{group}.splits={judged["splits"]}: a study judges by validation pictures; add "valid"')
    for model in others:
        for key, value in _judged_by(settings_of(group, attribute, model)).items():
            if value != judged[key]:
                told = f"{group}.{key} is {value!r} with {model['name']}, {judged[key]!r} with {first['name']}"
                raise RecipeError(f"{told}; the same pictures judge all variants of a study, so set it for all")


def _judged_by(settings: Any) -> dict[str, Any]:
    return {key: getattr(settings, key) for key in JUDGED_BY if hasattr(settings, key)}

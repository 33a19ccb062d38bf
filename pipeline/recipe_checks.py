"""What would be refused by a task hours later is refused before anything starts: settings that do not fit together."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from components import entry, knobs
from components.errors import SettingsError
from pipeline import recipe_study_checks
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.recipe_steps import GROUPS, STEPS, tables_of

Item = Mapping[str, Any]
PREPROCESS = "preprocess"


def refuse_contradictions(recipe: Recipe) -> None:
    """Looks at the settings of every task that the recipe makes.

    Raises:
        RecipeError: knobs that contradict each other, a view that preprocess does not make, or a task that does not
            go with the attribute's classes or with pseudo-labels, or a detector that no picture judges.
    """
    for asked in recipe.attributes:
        _refuse_task(recipe, asked)
    attributes: list[Item | None] = [*recipe.attributes]
    for attribute in attributes or [None]:
        made = _settings(recipe, PREPROCESS, attribute).views if PREPROCESS in recipe.groups else []
        for group, model in _tasks(recipe):
            wanted = getattr(_settings(recipe, group, attribute, model), "views", [])
            absent = [view for view in wanted if view not in made]
            if absent:
                raise RecipeError(
                    f"{_place(group, attribute, model)}: views has {absent[0]!r}, preprocess makes {', '.join(made)}; "
                    f"add it to preprocess.views, or leave it out"
                )
    _refuse_unjudged(recipe)
    recipe_study_checks.refuse_incomparable(recipe, functools.partial(_settings, recipe))


def _refuse_task(recipe: Recipe, attribute: Item) -> None:
    task, classes = attribute.get("task", "one_of_k"), attribute.get("classes") or []
    where = f"attributes.{attribute['name']}.task={task}"
    if task == "binary" and len(classes) not in (0, 2):
        raise RecipeError(f"{where} has two classes, not {len(classes)}; give two, or use one_of_k")
    if task == "ordinal" and not classes:
        raise RecipeError(f"{where} needs classes, the lowest first: names alone are no ranks")
    if task == "regression" and classes:
        raise RecipeError(f"{where} learns a number and has no classes; leave classes out")
    if task in ("multi_label", "regression") and recipe.generations.pseudo and "pseudo_label" in recipe.groups:
        raise RecipeError(
            f"{where}: pseudo-labels are made where exactly one class is right; set generations.pseudo=false"
        )


def _refuse_unjudged(recipe: Recipe) -> None:
    shares, test = recipe.groups.get("split"), recipe.groups.get("detect_test")
    if test and test.split == "validation" and shares and not shares.validation_share:
        raise RecipeError(
            "detect_test.split=validation has no picture: split.validation_share=0; raise it, or set "
            "detect_test.split=test"
        )


def _tasks(recipe: Recipe) -> Iterator[tuple[str, Item | None]]:
    """The groups of tasks, those that have a task for each model with every model."""
    of_models = tables_of("models")
    for group in recipe.active:
        yield from ((group, model) for model in (recipe.models if GROUPS[group] in of_models else [None]))


def _settings(recipe: Recipe, group: str, attribute: Item | None, model: Item | None = None) -> Any:
    """What the task of a group runs with for an attribute and a model, as far as the pipeline has them."""
    values = knobs.as_mapping(recipe.groups[group]) | {"attribute": attribute, "model": model, "phase": group}
    try:
        return entry.effective(STEPS[GROUPS[group]], values)
    except SettingsError as error:
        raise RecipeError(f"{_place(group, attribute, model)}: {error}") from error


def _place(group: str, attribute: Item | None, model: Item | None) -> str:
    return group + (f" of {attribute['name']}" if attribute else "") + (f" with {model['name']}" if model else "")

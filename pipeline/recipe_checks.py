"""What would be refused by a task hours later is refused before anything starts: settings that do not fit together."""

from collections.abc import Iterator, Mapping
from typing import Any

from components import entry, knobs
from components.errors import SettingsError
from pipeline.errors import RecipeError
from pipeline.recipe import GROUPS, STEPS, Recipe, groups_in, tables_of

Item = Mapping[str, Any]
PREPROCESS = "preprocess"


def refuse_contradictions(recipe: Recipe) -> None:
    """Looks at the settings of every task that the recipe makes.

    Raises:
        RecipeError: knobs that contradict each other, or a view that preprocess does not make.
    """
    for attribute in recipe.attributes:
        made = _settings(recipe, PREPROCESS, attribute).views
        for group, model in _tasks(recipe):
            wanted = getattr(_settings(recipe, group, attribute, model), "views", [])
            absent = [view for view in wanted if view not in made]
            if absent:
                raise RecipeError(
                    f"{_place(group, attribute, model)}: views has {absent[0]!r}, preprocess makes {', '.join(made)}; "
                    f"add it to preprocess.views, or leave it out"
                )


def _tasks(recipe: Recipe) -> Iterator[tuple[str, Item | None]]:
    """The groups of tasks, those that have a task for each model with every model."""
    of_models = tables_of("models")
    for group in groups_in(recipe.generations):
        yield from ((group, model) for model in (recipe.models if GROUPS[group] in of_models else [None]))


def _settings(recipe: Recipe, group: str, attribute: Item, model: Item | None = None) -> Any:
    """What the task of a group runs with for an attribute and a model."""
    values = knobs.as_mapping(recipe.groups[group]) | {"attribute": attribute, "model": model, "phase": group}
    try:
        return entry.effective(STEPS[GROUPS[group]], values)
    except SettingsError as error:
        raise RecipeError(f"{_place(group, attribute, model)}: {error}") from error


def _place(group: str, attribute: Item, model: Item | None) -> str:
    return f"{group} of {attribute['name']}" + (f" with {model['name']}" if model else "")

"""What the pipeline loops over: each attribute and model, with what it asks of a group of tasks under the group's name.

A task's cache key holds all that the task is given. What a model asks of round 2 must therefore not reach the task that
trains round 1, nor any other that does not read it, or changing it would repeat them all.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.recipe_steps import FILES_DIGEST, GROUPS, groups_in, tables_of
from pipeline.recipe_tables import Generations

_SHOWN = 3  # classes in a message
_FORMER_NAMES = {"cifar10": "object_labels", "caltech256": "category_labels"}  # of a data set's attribute

Item = dict[str, Any]
START = "start"  # the champion's checkpoint by attribute, which only the first training takes up
SEED = "seed"  # a model's own, which only its trainings take up
NO_TABLES = ("name", SEED, START, FILES_DIGEST)  # what a group carries beside its tables


def present(recipe: Recipe, in_data: Collection[str]) -> list[Item]:
    """The recipe's attributes that the data has, or each that the data has, where the recipe learns every one.

    Args:
        recipe: its attributes, and `data.every_attribute`.
        in_data: names that the data itself tells; empty where it tells none, then it may be about all of them.
    """
    if recipe.data.every_attribute and in_data:
        own = {item["name"]: item for item in recipe.attributes}
        return [own.get(name, {**recipe.attributes[0], "name": name}) for name in sorted(in_data)]
    return [item for item in recipe.attributes if not in_data or item["name"] in in_data]


def with_classes(recipe: Recipe, told: Iterable[Mapping[str, Any]]) -> list[Item]:
    """The recipe's attributes, each with the classes that a data set tells of it.

    Args:
        recipe: its attributes.
        told: `{"name", "classes"}` of the data set's attributes, and `"named": False` where the classes are mere
            numbers: these a recipe may name.

    Raises:
        RecipeError: the recipe itself gives other classes, or the same in another order, or not as many names as there
            are numbers; or it knows the data set's attribute by a former name only.
    """
    known = {item["name"]: item for item in told}
    wanted, former = {item["name"] for item in recipe.attributes}, _FORMER_NAMES.get(recipe.data.dataset)
    if former in wanted and not wanted & known.keys():
        raise RecipeError(
            f"attributes.{former}: data set {recipe.data.dataset} calls it {', '.join(known)} now; rename it so"
        )
    return [
        item | {"classes": _classes(recipe, item, known[item["name"]])} if item["name"] in known else item
        for item in recipe.attributes
    ]


def _classes(recipe: Recipe, item: Item, told: Mapping[str, Any]) -> list[str]:
    classes: list[str] = list(told["classes"])
    own: list[str] = item.get("classes") or classes
    where = f"attributes.{item['name']}.classes is {_listed(own)}, but data set {recipe.data.dataset} has"
    if told.get("named", True) and own != classes:
        raise RecipeError(f"{where} {_listed(classes)}; leave classes out, the data set names its own")
    if len(own) != len(classes):
        raise RecipeError(f"{where} {len(classes)} classes, {_listed(classes)}; name each, or leave classes out")
    return own


def _listed(classes: list[str]) -> str:
    first = ", ".join(classes[:_SHOWN])
    return f"{first}, … ({len(classes)})" if len(classes) > _SHOWN else first


def for_tasks(loop: str, items: Iterable[Mapping[str, Any]], generations: Generations) -> list[Item]:
    """The items of a loop as the compiled pipeline takes them.

    Args:
        loop: `attributes` or `models`.
        items: as in `Recipe`: `{"name", "classes", "ordinal", "<table>": {knobs}}`.
        generations: which groups the pipeline has.

    Returns:
        `{"name", "classes", "ordinal", "<group>": {"name", "<table>": {knobs}}}`: for every group the tables that its
        tasks read. Each group is there, also an empty one: KFP selects it by its key and fails where that is missing.
    """
    tables = tables_of(loop)
    groups = [group for group in groups_in(generations) if GROUPS[group] in tables]
    return [
        {key: value for key, value in item.items() if key not in (*tables, START)}
        | {group: _read_by(group, item) for group in groups}
        for item in items
    ]


def as_in_recipe(items: Iterable[Mapping[str, Any]]) -> list[Item]:
    """The other way: items of a run as a recipe has them, also of a run that was made before groups had their own."""
    return [_flat(item) for item in items]


def _read_by(group: str, item: Mapping[str, Any]) -> Item:
    tables = (GROUPS[group], group, *([START] if group == "round1" else []))
    seed = {SEED: item[SEED]} if SEED in item and GROUPS[group] == "train" else {}
    return {"name": item["name"]} | seed | {table: item[table] for table in tables if item.get(table)}


def _flat(item: Mapping[str, Any]) -> Item:
    own = {key: value for key, value in item.items() if key in GROUPS and "name" in value}
    found = {key: value for key, value in item.items() if key not in own}
    for tables in own.values():
        found |= {table: knobs for table, knobs in tables.items() if table not in NO_TABLES}
    return found

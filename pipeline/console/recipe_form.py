"""A recipe as a form: every table of the TOML is a group, every knob a field named as `--set` names it."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import recipe as recipes
from pipeline import recipe_loops
from pipeline.console import data_source, fields
from pipeline.engine.reader import Reader
from pipeline.engine.records import Run
from pipeline.errors import PipelineError, RecipeError
from pipeline.recipe import Recipe
from pipeline.recipe_steps import GROUPS, SOURCE, STEPS
from pipeline.recipe_tables import LOOPS, TABLES, Head
from pipeline.server.domain.recipes import Asked, Field, Form, Group, Source
from pipeline.server.side_by_side import flattened

MOST_RUNS = 60  # among so many newest runs the last one of a recipe, and the times of its tasks, are looked for
MOST_SHOWN = 7
WORTH_A_LOOK = ("epochs", "batch_size", "learning_rate", "seed", "method", "views", "policy", "threshold")
TITLES = {
    "head": "Run",
    "data": "Data of the recipe",
    "generations": "Parts of the pipeline",
    "placement": "Placement",
    "round1": "Training, round 1",
    "round2": "Training, round 2",
    "student": "Training, students",
    "pseudo_label": "Pseudo-labels",
    "openimages_subset": "Subset of Open Images",
    "boxes_prepare": "Pictures and boxes",
    "detect_train": "Training of the detector",
    "detect_test": "Test of the detector",
}
_NOT_HERE = ("name", "description", "pipeline")  # the run has a name of its own; another pipeline is another recipe


def shortest_name(path: str) -> str:
    """A recipe of this package by its bare name, any other by its absolute path; the same for the same file."""
    file = Path(path)
    if not file.is_file():
        return path
    whole = file.resolve()
    return whole.stem if whole.parent == recipes.RECIPES.resolve() else str(whole)


def title_of(table: str) -> str:
    """What people call a table of the recipe."""
    return TITLES.get(table, table.replace("_", " ").capitalize())


def recipe_of(run: Run) -> str:
    """The recipe that a run was made from, by its shortest name; empty where it was made from none."""
    return shortest_name(str(run.labels.get("recipe") or ""))


def last_run_of(reader: Reader, name: str) -> Run | None:
    """The newest run of a recipe."""
    return next((run for run in reader.runs(limit=MOST_RUNS) if recipe_of(run) == name), None)


def form(reader: Reader, asked: Asked) -> Form:
    """The form of a recipe. Raises RecipeError where the file cannot be read."""
    name = shortest_name(asked.name)
    said = recipes.load(name)
    earlier = reader.run(asked.clone) if asked.clone else last_run_of(reader, name)
    before = _values_of_run(name, earlier) if earlier else {}
    start = before if asked.clone else {}
    groups = [_group(said, table, empty, asked.values, before, start) for table, empty in _tables(said)]
    data = asked.data or (data_source.of_run(earlier, said) if asked.clone and earlier else "")
    data_error = data_source.problem(data) if data else _no_data(said, groups)
    made = Form(
        source=Source("recipe", name, said.head.name, said.head.description),
        groups=groups,
        data_kind=said.pipeline.data,
        data=data,
        data_said=data_source.said(said),
        data_error=data_error,
        earlier_run=earlier.run_id if earlier else "",
    )
    return _checked(made)


def overrides(form: Form) -> list[str]:
    """What `--set` has to say so that the recipe becomes what stands in the form."""
    return [f"{one.name}={one.value}" for one in form.fields if one.is_changed]


def filled_recipe(form: Form) -> Recipe:
    """The recipe with what stands in the form. Raises RecipeError."""
    return recipes.load(form.source.name, overrides(form))


def _checked(form: Form) -> Form:
    """The form with the error beside the field that has it."""
    try:
        recipe = filled_recipe(form)
    except RecipeError as error:
        groups = [dataclasses.replace(g, fields=[_judged(form, f) for f in g.fields]) for g in form.groups]
        found = dataclasses.replace(form, groups=groups)
        return dataclasses.replace(found, error=str(error)) if found.is_valid else found
    active = set(recipe.active)
    return dataclasses.replace(form, groups=[_noted(group, active) for group in form.groups])


def _judged(form: Form, field: Field) -> Field:
    if not field.is_changed:
        return field
    try:
        recipes.load(form.source.name, [f"{field.name}={field.value}"])
    except RecipeError as error:
        return dataclasses.replace(field, error=str(error).removeprefix("--set "))
    return field


def _noted(group: Group, active: set[str]) -> Group:
    if group.name not in GROUPS or group.name in active:
        return group
    return dataclasses.replace(group, note="not in this run: switched off under Parts of the pipeline", is_off=True)


def _tables(recipe: Recipe) -> Iterator[tuple[str, dict[str, Field]]]:
    """Every table with its empty fields, in the order of the form."""
    head = fields.of_settings(Head)
    yield "head", {name: field for name, field in head.items() if name not in _NOT_HERE}
    for table in recipe.pipeline.tables:
        found = fields.of_settings(TABLES[table], f"{table}.")
        yield table, data_source.relevant(found, recipe.data) if table == "data" else found
    for loop in recipe.pipeline.loops:
        yield loop, dict(_of_items(loop, getattr(recipe, loop)))
    for group, step in recipe.pipeline.groups.items():
        yield group, fields.of_settings(STEPS[step].Settings, f"{group}.")


def _of_items(loop: str, items: list[dict[str, Any]]) -> Iterator[tuple[str, Field]]:
    for item in items:
        path = f"{loop}.{item['name']}."
        for name, found in fields.of_settings(LOOPS[loop], path).items():
            yield f"{item['name']}.{name}", dataclasses.replace(found, label=f"{item['name']}: {name}")
        for table, own in item.items():
            if not isinstance(own, Mapping):
                continue
            known = fields.of_settings(STEPS[GROUPS.get(table, table)].Settings, f"{path}{table}.")
            for knob in own:
                key = f"{item['name']}.{table}.{knob}"
                yield key, dataclasses.replace(known[knob], label=f"{item['name']}: {table}.{knob}")


def _group(
    recipe: Recipe,
    table: str,
    empty: Mapping[str, Field],
    given: Mapping[str, str],
    before: Mapping[str, Any],
    start: Mapping[str, Any],
) -> Group:
    said = values_of(recipe)
    made = [
        fields.filled(
            field,
            said.get(field.name, _unsaid(field)),
            before.get(field.name),
            given.get(field.name),
            fields.as_text(start[field.name]) if field.name in start else None,
        )
        for field in empty.values()
    ]
    made = [_with_overrulers(field, recipe, table) for field in made]
    names = [item["name"] for item in getattr(recipe, table)] if table in LOOPS else []
    return Group(table, title_of(table), made, note=", ".join(names), shown=tuple(_worth_showing(recipe, table, made)))


def _worth_showing(recipe: Recipe, table: str, made: list[Field]) -> list[str]:
    """Names of what people look for first, then of what the recipe sets; some of them only."""
    own = _own_choices(recipe, table)
    first = [f.name for wanted in WORTH_A_LOOK for f in made if f.label == wanted]
    return list(dict.fromkeys([*first, *(f.name for f in made if f.label in own)]))[:MOST_SHOWN]


def _with_overrulers(field: Field, recipe: Recipe, table: str) -> Field:
    """An attribute's or model's own value counts before the step's: a change here alone would do nothing for it."""
    step = GROUPS.get(table, "")
    where = [
        f"{loop}.{item['name']}.{own}"
        for loop in LOOPS
        for item in getattr(recipe, loop)
        for own in (step, table)
        if step and field.label in (item.get(own) or {})
    ]
    said = f"{field.help}; not for {', '.join(dict.fromkeys(where))}, which say it themselves"
    return dataclasses.replace(field, help=said) if where else field


def _own_choices(recipe: Recipe, table: str) -> set[str]:
    """Knobs that the recipe sets otherwise than the step would."""
    if table not in GROUPS:
        return set()
    settings = recipe.groups[table]
    usual = type(settings)()
    return {f.name for f in dataclasses.fields(settings) if getattr(settings, f.name) != getattr(usual, f.name)}


def _unsaid(field: Field) -> Any:
    return {"list": [], "struct": {}, "boolean": False}.get(field.kind, "")


def values_of(recipe: Recipe) -> dict[str, Any]:
    """Every value of a recipe by its name after `--set`."""
    tables: dict[str, Any] = {
        "data": recipe.data,
        "generations": recipe.generations,
        "placement": recipe.placement,
    } | dict(recipe.groups)
    found = {f.name: getattr(recipe.head, f.name) for f in dataclasses.fields(recipe.head)}
    for table, settings in tables.items():
        found |= {f"{table}.{f.name}": getattr(settings, f.name) for f in dataclasses.fields(settings)}
    return found | flattened({"attributes": recipe.attributes, "models": recipe.models})


def _values_of_run(name: str, run: Run) -> dict[str, Any]:
    """What a run had, by the names of the form: its own parameters; for what is no parameter, the recipe of then."""
    known = {f"{group}.{knob}" for group, step in GROUPS.items() for knob in fields.of_settings(STEPS[step].Settings)}
    by_parameter = {path.replace(".", "_", 1): path for path in known} | {"seed": "seed"}
    found = {by_parameter[p]: value for p, value in run.parameters.items() if p in by_parameter}
    items = {loop: recipe_loops.as_in_recipe(run.parameters.get(loop) or []) for loop in LOOPS}
    found |= flattened({loop: listed for loop, listed in items.items() if listed})
    try:
        then = values_of(recipes.load(name, list(map(str, run.labels.get("overrides") or []))))
    except PipelineError:
        return found  # the recipe has lost a key since
    beside = {k: v for k, v in then.items() if k.partition(".")[0] in TABLES}
    return beside | {k: v for k, v in found.items() if not (then["data.dataset"] and _is_told(k, then))}


def _is_told(name: str, said: Mapping[str, Any]) -> bool:
    """Whether this is the classes of an attribute that the recipe leaves to its data set."""
    return name.startswith("attributes.") and name.endswith(".classes") and not said.get(name)


def _no_data(recipe: Recipe, groups: list[Group]) -> str:
    """What is wrong where nobody has said where the data is."""
    if recipe.pipeline.data == SOURCE:
        return ""  # the settings may name every file by its address
    asked = {field.name: field.value for group in groups for field in group.fields}
    if asked.get("data.dataset") or asked.get("data.rounds", "[]") not in ("", "[]"):
        return ""
    return f"recipe {recipe.head.name} does not say where the data is; give a folder or gs:// address"

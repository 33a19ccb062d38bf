"""Recipes: one TOML file that holds every knob of a run, read into a frozen `Recipe` made of the steps' settings.

Precedence: the defaults in a step's `settings.py` < the recipe < `--set table.key=value`. Unknown keys are refused;
the nearest known one is named. No kfp and no TensorFlow here: a recipe is checked in milliseconds.
"""

import copy
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from components import knobs
from components.ensemble import settings as ensemble
from components.errors import SettingsError
from components.ingest import settings as ingest
from components.predict import settings as predict
from components.preprocess import settings as preprocess
from components.promote import settings as promote
from components.pseudo_label import settings as pseudo_label
from components.report import settings as report
from components.train import settings as train
from pipeline.errors import RecipeError
from pipeline.recipe_tables import LOOPS, TABLES, Data, Generations, Head, Placement, Prices

RECIPES = Path(__file__).parent / "recipes"
STEPS: dict[str, ModuleType] = {
    "ingest": ingest,
    "preprocess": preprocess,
    "train": train,
    "predict": predict,
    "pseudo_label": pseudo_label,
    "ensemble": ensemble,
    "report": report,
    "promote": promote,
}
# A group is one set of knobs of one step, in the order of the pipeline. Training has three: the phases
# share the step, not its settings.
GROUPS = {
    "ingest": "ingest",
    "preprocess": "preprocess",
    "round1": "train",
    "round2": "train",
    "predict": "predict",
    "pseudo_label": "pseudo_label",
    "student": "train",
    "ensemble": "ensemble",
    "report": "report",
    "promote": "promote",
}
PHASES = tuple(group for group, step in GROUPS.items() if step == "train")
MOST_CORES_OR_GIB = 10_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PIPELINE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,127}")  # KFP takes no more


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Attributes:
        head: name, description, seed, data root.
        attributes: the structs that the pipeline loops over: `{"name", "classes", "ordinal", "<group>": {knobs}}`.
        models: likewise: `{"name", "<group>": {knobs}}`.
        groups: group (see GROUPS) to its step's Settings.
    """

    head: Head
    data: Data
    generations: Generations
    placement: Placement
    prices: Prices
    attributes: list[dict[str, Any]]
    models: list[dict[str, Any]]
    groups: Mapping[str, Any]


_TOP_TABLES = [*TABLES, *LOOPS, "train", *GROUPS]


def load(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe file, or a recipe of this package by its bare name (`demo`).

    Args:
        path: a TOML file or a bare name.
        overrides: texts `table.key=value`, as after `--set`; later ones win.

    Raises:
        RecipeError: no such file, no TOML, or a key or value that no step knows.
    """
    packaged = RECIPES / f"{path}.toml"
    file = packaged if packaged.is_file() and not Path(path).is_file() else Path(path)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8-sig"))  # editors on Windows begin files with a BOM
    except OSError as error:
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise RecipeError(f"{path} cannot be read ({error.strerror}); give a recipe file or one of: {known}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    return parse(document, overrides)


def parse(document: Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """Checks a parsed TOML document and builds the recipe. Raises RecipeError."""
    values = copy.deepcopy(dict(document))
    try:
        for text in overrides:
            _override(values, text)
        return _recipe(values)
    except SettingsError as error:
        raise RecipeError(str(error)) from error


def dataset_arguments(recipe: Recipe) -> dict[str, Any]:
    """What the recipe asks of its data set's builder; empty where the rounds are given."""
    data = recipe.data
    if not data.dataset:
        return {}
    counts = {name: getattr(data, name) for name in ("images", "round1", "round2", "pool", "questions")}
    asked: dict[str, Any] = {name: count for name, count in counts.items() if count}
    asked |= {"source": data.source} if data.source else {}
    asked |= {"attributes": [item["name"] for item in recipe.attributes]} if data.dataset == "demo" else {}
    return asked | {"seed": data.seed}


def groups_in(generations: Generations) -> list[str]:
    """The groups whose tasks the pipeline has, in the order of the pipeline."""
    left_out = set() if generations.round2 else {"round2"}
    left_out |= set() if generations.pseudo else {"pseudo_label", "student"}
    return [group for group in GROUPS if group not in left_out]


def tables_of(loop: str) -> list[str]:
    """The tables of knobs that an attribute or a model may carry: steps that are given one, and their phases."""
    item = loop.removesuffix("s")
    steps = [name for name, module in STEPS.items() if item in {f.name for f in fields(module.Inputs)}]
    return steps + (list(PHASES) if "train" in steps else [])


def _recipe(values: dict[str, Any]) -> Recipe:
    top = {name: value for name, value in values.items() if not isinstance(value, dict)}
    for name in values:
        if name not in top and name not in _TOP_TABLES:
            raise SettingsError(f"{name} is not a table of a recipe{knobs.nearest(name, _TOP_TABLES)}")
        if name in top and name in _TOP_TABLES:
            raise SettingsError(f"{name}={top[name]!r} is a {type(top[name]).__name__}; expected a table: [{name}]")
    recipe = Recipe(
        head=knobs.from_mapping(Head, top),
        data=knobs.from_mapping(Data, values.get("data", {}), where="data"),
        generations=knobs.from_mapping(Generations, values.get("generations", {}), where="generations"),
        placement=knobs.from_mapping(Placement, values.get("placement", {}), where="placement"),
        prices=knobs.from_mapping(Prices, values.get("prices", {}), where="prices"),
        attributes=list(_items("attributes", values.get("attributes", {}))),
        models=list(_items("models", values.get("models", {}))),
        groups=_groups(values),
    )
    return _coherent(recipe)


def _groups(values: Mapping[str, Any]) -> dict[str, Any]:
    shared = values.get("train", {})
    knobs.from_mapping(train.Settings, shared, where="train")
    given = {group: (shared if step == "train" else {}) | values.get(group, {}) for group, step in GROUPS.items()}
    return {
        group: knobs.from_mapping(STEPS[step].Settings, given[group], where=group) for group, step in GROUPS.items()
    }


def _items(loop: str, tables: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not tables:
        raise SettingsError(f"the recipe has no [{loop}.NAME] table; give at least one")
    for name, body in tables.items():
        where = f"{loop}.{name}"
        if not _NAME.fullmatch(name) or not isinstance(body, dict):
            raise SettingsError(
                f"{where} is not a table with a plain name; expected [{loop}.NAME] of letters, digits, _ . -"
            )
        allowed = tables_of(loop)
        plain = {key: value for key, value in body.items() if not (isinstance(value, dict) and key in allowed)}
        for key in plain:
            if key in allowed:
                raise SettingsError(f"{where}.{key}={plain[key]!r} is no table; expected [{where}.{key}]")
            if key not in {f.name for f in fields(LOOPS[loop])}:
                choices = [*allowed, *(f.name for f in fields(LOOPS[loop]))]
                raise SettingsError(f"{where}.{key} is not a setting or table{knobs.nearest(key, choices)}")
        item = {"name": name} | _checked(LOOPS[loop], plain, where)
        yield item | {
            key: _checked(_step_of(key).Settings, body[key], f"{where}.{key}") for key in body if key not in plain
        }


def _checked(cls: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The given values only, each checked and converted; defaults are left to whoever merges them."""
    whole = knobs.as_mapping(knobs.from_mapping(cls, values, where=where))
    return {key: whole[key] for key in values}


def _step_of(table: str) -> ModuleType:
    return STEPS[GROUPS.get(table, table)]


def _coherent(recipe: Recipe) -> Recipe:
    if not _PIPELINE_NAME.fullmatch(recipe.head.name):
        raise SettingsError(
            f"name={recipe.head.name!r} is no pipeline name; give at most 128 small letters, digits, - or _"
        )
    if not recipe.head.description.isprintable():
        raise SettingsError(f"description={recipe.head.description!r} has line breaks or the like; give one plain line")
    for table in ("cpu", "memory_gb"):
        for step, amount in getattr(recipe.placement, table).items():
            if step not in STEPS:
                raise SettingsError(f"placement.{table}.{step} is not a step{knobs.nearest(step, STEPS)}")
            if type(amount) not in (int, float) or not 0.01 <= amount <= MOST_CORES_OR_GIB:
                raise SettingsError(
                    f"placement.{table}.{step}={amount!r} is not an amount; give a number from 0.01 to "
                    f"{MOST_CORES_OR_GIB:,}"
                )
    if recipe.placement.gpu_hours and not recipe.placement.gpu:
        raise SettingsError(
            f"placement.gpu_hours={recipe.placement.gpu_hours:g} limits nothing: the recipe uses no GPU; "
            "set placement.gpu=true, or leave it out"
        )
    if recipe.data.dataset and recipe.data.rounds:
        raise SettingsError("data.dataset and data.rounds are both given; keep one of them")
    return recipe


def _override(values: dict[str, Any], text: str) -> None:
    path, equals, raw = text.partition("=")
    *where, key = path.strip().split(".")
    if not equals or not key:
        raise SettingsError(f"--set {text!r} has no value; expected table.key=value, for instance round1.epochs=3")
    table = values
    for depth, part in enumerate(where):
        if depth == 1 and where[0] in LOOPS and part not in table:
            raise SettingsError(
                f"{path} names no {where[0].removesuffix('s')} of the recipe{knobs.nearest(part, table)}"
            )
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise SettingsError(f"--set {text!r} does not fit: {'.'.join(where[: depth + 1])} is no table")
    table[key] = _parsed(path, tuple(where), key, raw.strip())


def _parsed(path: str, where: tuple[str, ...], key: str, raw: str) -> Any:
    if len(where) == 2 and where[0] == "placement":
        return _read(path, raw, float)
    cls = _table(where)
    if cls is None:
        known = tables_of(where[0]) if where[0] in LOOPS else _TOP_TABLES
        raise SettingsError(f"{'.'.join(where)} is not a table of a recipe{knobs.nearest(where[-1], known)}")
    types = knobs.types_of(cls)
    if key not in types:
        inner = _table((*where, key)) and f"a table; give {path}.KEY=value"
        raise SettingsError(f"{path} is {inner or f'not a setting{knobs.nearest(key, types)}'}")
    return _read(path, raw, types[key])


def _read(path: str, raw: str, kind: type) -> Any:
    try:
        return knobs.parse(raw, kind)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def _table(where: tuple[str, ...]) -> type | None:
    match where:
        case ():
            return Head
        case (name,) if name in TABLES:
            return TABLES[name]
        case (group,) if group in GROUPS or group == "train":
            return _settings_class(group)
        case (loop, _) if loop in LOOPS:
            return LOOPS[loop]
        case (loop, _, table) if loop in LOOPS and table in tables_of(loop):
            return _settings_class(table)
    return None


def _settings_class(table: str) -> type:
    cls: type = _step_of(table).Settings
    return cls

"""Recipes: one TOML file that holds every knob of a run, read into a frozen `Recipe` made of the steps' settings.

Precedence: the defaults in a step's `settings.py` < the recipe < `--set table.key=value`. Unknown keys are refused;
the nearest known one is named. No kfp and no TensorFlow here: a recipe is checked in milliseconds.
"""

import copy
import functools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from components import knobs
from components.errors import SettingsError
from pipeline import recipe_study
from pipeline.errors import RecipeError
from pipeline.recipe_steps import ALL_TABLES, GROUPS, PIPELINES, ROUNDS, STEPS, Pipeline, groups_in, tables_of
from pipeline.recipe_tables import LOOPS, TABLES, WITHOUT_ROUNDS, Data, Generations, Head, Placement, Prices

RECIPES = Path(__file__).parent / "recipes"
STUDIES = Path(__file__).parent / "studies"
MOST_CORES_OR_GIB = 10_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_BUCKET = re.compile(r"gs://[^/]")
_PIPELINE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,127}")  # KFP takes no more


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Attributes:
        head: name, description, seed, data root.
        attributes: the structs that the pipeline loops over: `{"name", "classes", "ordinal", "<group>": {knobs}}`.
        models: likewise: `{"name", "<group>": {knobs}}`. Both are empty where the pipeline has no loops.
        groups: group of the recipe's pipeline to its step's Settings.
    """

    head: Head
    data: Data
    generations: Generations
    placement: Placement
    prices: Prices
    attributes: list[dict[str, Any]]
    models: list[dict[str, Any]]
    groups: Mapping[str, Any]

    @property
    def pipeline(self) -> Pipeline:
        """What the recipe is for."""
        return PIPELINES[self.head.pipeline]

    @property
    def active(self) -> list[str]:
        """The groups whose tasks the pipeline has, in its order."""
        return [group for group in groups_in(self.generations) if group in self.groups]


def load(path: str | Path, overrides: Sequence[str] = (), packaged: Path = RECIPES) -> Recipe:
    """Reads a recipe file, or a recipe of this package by its bare name (`demo`). A study is read as its recipe.

    Args:
        path: a TOML file or a bare name.
        overrides: texts `table.key=value`, as after `--set`; later ones win.
        packaged: folder of the bare names: RECIPES or STUDIES.

    Raises:
        RecipeError: no such file, no TOML, or a key or value that no step knows.
    """
    document = _document(path, packaged)
    if not recipe_study.is_study(document):
        return parse(document, overrides)
    try:
        document, overrides = recipe_study.overridden(document, overrides)
        beside = _file(path, packaged).parent
        return parse(recipe_study.expanded(document, functools.partial(_base, beside)), overrides)
    except SettingsError as error:
        raise RecipeError(f"{path}: {error}") from error


def _base(beside: Path, path: str) -> dict[str, Any]:
    """The recipe of a study: a file as seen from the study, or what `load` takes."""
    return _document(beside / path if (beside / path).is_file() else path, RECIPES)


def _file(path: str | Path, packaged: Path) -> Path:
    own = packaged / f"{path}.toml"
    return own if own.is_file() and not Path(path).is_file() else Path(path)


def _document(path: str | Path, packaged: Path) -> dict[str, Any]:
    try:
        text = _file(path, packaged).read_text(encoding="utf-8-sig")  # editors on Windows begin files with a BOM
        return tomllib.loads(text)
    except OSError as error:
        known = ", ".join(sorted(p.stem for p in packaged.glob("*.toml")))
        raise RecipeError(f"{path} cannot be read ({error.strerror}); give a file or one of: {known}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error


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
    asked |= {name: getattr(data, name) for name in ("source", "clutter") if getattr(data, name)}
    asked |= {"attributes": [item["name"] for item in recipe.attributes]} if data.dataset == "demo" else {}
    return asked | {"seed": data.seed}


def _recipe(values: dict[str, Any]) -> Recipe:
    top = {name: value for name, value in values.items() if not isinstance(value, dict)}
    for name, value in top.items():
        if name in ALL_TABLES:
            raise SettingsError(f"{name}={value!r} is no table; expected [{name}]")
    head = knobs.from_mapping(Head, top)
    pipeline = PIPELINES[head.pipeline]
    _refuse_unknown_tables([name for name in values if name not in top], head.pipeline)
    items = {loop: list(_items(loop, values.get(loop, {}))) if loop in pipeline.loops else [] for loop in LOOPS}
    recipe = Recipe(
        head=head,
        data=knobs.from_mapping(Data, values.get("data", {}), where="data"),
        generations=knobs.from_mapping(Generations, values.get("generations", {}), where="generations"),
        placement=knobs.from_mapping(Placement, values.get("placement", {}), where="placement"),
        prices=knobs.from_mapping(Prices, values.get("prices", {}), where="prices"),
        attributes=items["attributes"],
        models=items["models"],
        groups=_groups(values, pipeline),
    )
    return _coherent(recipe)


def _refuse_unknown_tables(given: Sequence[str], pipeline: str) -> None:
    known = PIPELINES[pipeline].all_tables
    for name in given:
        if name not in known:
            others = [other for other, one in PIPELINES.items() if name in one.all_tables]
            hint = f' for pipeline="{pipeline}", but for {others[0]}' if others else knobs.nearest(name, known)
            raise SettingsError(f"{name} is not a table of a recipe{hint}")


def _groups(values: Mapping[str, Any], pipeline: Pipeline) -> dict[str, Any]:
    for step in pipeline.shared:
        knobs.from_mapping(STEPS[step].Settings, values.get(step, {}), where=step)
    given = {g: values.get(step, {}) | values.get(g, {}) for g, step in pipeline.groups.items()}
    return {g: knobs.from_mapping(STEPS[step].Settings, given[g], where=g) for g, step in pipeline.groups.items()}


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
    if "://" in recipe.head.data_root and not _BUCKET.match(recipe.head.data_root):
        raise SettingsError(
            f"data_root={recipe.head.data_root!r} is no place to write; give a folder or gs://BUCKET/FOLDER"
        )
    _refuse_foreign_data(recipe.data, recipe.head.pipeline)
    return recipe


def _refuse_foreign_data(data: Data, pipeline: str) -> None:
    has_rounds = PIPELINES[pipeline].data == ROUNDS
    if data.dataset and data.rounds:
        raise SettingsError("data.dataset and data.rounds are both given; keep one of them")
    if data.dataset and has_rounds == (data.dataset in WITHOUT_ROUNDS):
        raise SettingsError(f'data.dataset={data.dataset!r} is not made for pipeline="{pipeline}"; name another one')
    if data.rounds and not has_rounds:
        raise SettingsError(f'data.rounds means nothing to pipeline="{pipeline}", which knows one folder: data.source')


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
        known = tables_of(where[0]) if where[0] in LOOPS else ALL_TABLES
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

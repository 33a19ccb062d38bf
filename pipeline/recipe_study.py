"""A study: variants of a recipe, each trained with several seeds, as one recipe for the pipeline `study`.

A study is a TOML file like a recipe. `expanded` turns it into the recipe that it stands for: every variant with every
seed becomes a model, so whatever all of them share runs once, and what compiles, runs and submits recipes takes it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from components import knobs
from components.errors import SettingsError
from components.knobs import knob
from pipeline import recipe_study_grid
from pipeline.recipe_steps import PIPELINES, tables_of
from pipeline.recipe_tables import Head

PIPELINE = "study"
VARIANTS, GRID, FROM = "variants", "grid", "from"
MOST_TRAININGS = 300  # all references enter one command line, which may have 128 KiB on a cluster
LONGEST_NAME = 60  # of a variant: it names files and stands in tables
JUDGED_BY = ("fold", "valid_rounds", "splits")  # knobs that choose the pictures by which a training is judged
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{LONGEST_NAME - 1}}}")

Document = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """What stands at the top of a study, before the first table; `name` and so on are the recipe's."""

    recipe: str = knob("", "what the variants change: a recipe's file, seen from the study, or a name like `demo`")
    model: str = knob("", "model of the recipe that variants begin with; empty: the one of their name, or the only one")
    seeds: list[int] = knob([1, 2, 3], "seeds; every variant is trained with each", at_least=0, at_most=2**31 - 1)
    base: str = knob("", "variant that the others are measured against; empty: the first")
    metric: str = knob("accuracy", "what the variants are judged by", choices=("accuracy", "ap", "basic_precision"))
    answers: str = knob("", "CSV with the labels of the test pictures; empty: as the data set says")


@dataclass(frozen=True)
class Variant:
    """One variant: its notes, the model of the recipe that it begins with, and its changes by table."""

    name: str
    notes: str
    model: str
    changes: Document = field(default_factory=dict)


def is_study(document: Mapping[str, Any]) -> bool:
    """Whether a TOML document is a study and no recipe."""
    return VARIANTS in document or GRID in document


def expanded(document: Mapping[str, Any], read: Callable[[str], Document]) -> Document:
    """The recipe that a study stands for.

    Args:
        document: the parsed study. Tables of a recipe may stand in it too; they count before the recipe's own.
        read: gives the parsed recipe of a file or name.

    Raises:
        SettingsError: a key that is not known, a change of what all variants share, or a base that is no variant.
    """
    own = {f.name for f in fields(Study)}
    study = knobs.from_mapping(Study, {key: value for key, value in document.items() if key in own})
    if not study.recipe:
        raise SettingsError('recipe is missing; name what the variants change, for instance recipe = "demo"')
    rest = {key: value for key, value in document.items() if key not in (*own, VARIANTS, GRID)}
    _refuse_typos(rest, own)
    base = read(study.recipe)
    if is_study(base):
        raise SettingsError(f"recipe={study.recipe!r} is a study too; name the recipe that its variants change")
    recipe = merged(_without_unused(base), rest)
    models = _table(recipe, "models")
    variants = _variants(study, document.get(VARIANTS, {}), document.get(GRID, {}), models)
    _refuse(study, variants)
    return recipe | {
        "pipeline": PIPELINE,
        "name": rest.get("name", f"{recipe.get('name', '')}_study"),
        "generations": _table(recipe, "generations") | {"pseudo": False},
        "models": {
            name: {"seed": seed} | merged(_tables(models, v), v.changes)
            for v in variants
            for name, seed in _models(v, study)
        },
        PIPELINE: {
            "variants": [_told(v, study) for v in variants],
            "base": study.base or variants[0].name,
            "metric": study.metric,
            "answers": study.answers,
        }
        | _table(recipe, PIPELINE),
    }


def _refuse_typos(rest: Mapping[str, Any], own: set[str]) -> None:
    """`seed = [1]` is a recipe's key with a study's value."""
    head = set(knobs.types_of(Head))
    for key, value in rest.items():
        known = own if isinstance(value, list) else own | head
        if key not in known and not isinstance(value, dict):
            raise SettingsError(f"{key}={value!r} is not a setting of a study{knobs.nearest(key, known)}")


def overridden(document: Document, overrides: Sequence[str]) -> tuple[Document, list[str]]:
    """A study with `--set seeds=1,2` and the like applied, and the overrides that are its recipe's."""
    types = knobs.types_of(Study)
    pairs = [(text, *map(str.strip, text.partition("=")[::2])) for text in overrides]
    own = {key: knobs.parse(_listed(raw, types[key]), types[key]) for _, key, raw in pairs if key in types}
    return {**document, **own}, [text for text, key, _ in pairs if key not in types]


def _listed(raw: str, kind: type) -> str:
    """`1,2` is a list of numbers, as `[1,2]` is."""
    return f"[{raw}]" if kind is list and not raw.startswith("[") else raw


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Document:
    """Two documents as one: tables are merged, of any other value the upper one counts."""
    both = {
        key: merged(under[key], value) if isinstance(value, dict) and isinstance(under.get(key), dict) else value
        for key, value in over.items()
    }
    return {**under, **both}


def flat(table: Mapping[str, Any], prefix: str = "") -> Document:
    """`{"train": {"epochs": 3}}` as `{"train.epochs": 3}`."""
    found: Document = {}
    for key, value in table.items():
        inner = isinstance(value, dict) and value
        found |= flat(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return found


def _table(document: Mapping[str, Any], name: str) -> Document:
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise SettingsError(f"{name}={found!r} is no table; expected [{name}]")
    return found


def _without_unused(recipe: Document) -> Document:
    """A recipe without the tables of steps that a study has no tasks of."""
    known = PIPELINES[PIPELINE].all_tables
    others = {table for one in PIPELINES.values() for table in one.all_tables} - set(known)
    return {key: value for key, value in recipe.items() if key not in others}


def _variants(study: Study, listed: Any, grid: Any, models: Mapping[str, Any]) -> list[Variant]:
    every = [*_bodies(VARIANTS, listed), *_combinations(grid)]
    (name, count), *_ = Counter(name for name, _ in every).most_common(1) or [("", 1)]
    if count > 1:
        raise SettingsError(f"{name} is the name of {count} variants; give each its own, and each value of a grid once")
    bodies = dict(every)
    for name, body in every:
        _refuse_no_texts(name, body)
    return [_variant(name, bodies, study, models) for name in bodies]


def _bodies(where: str, tables: Any) -> Iterator[tuple[str, Document]]:
    for name, body in tables.items() if isinstance(tables, dict) else [(tables, None)]:
        if not isinstance(body, dict) or not _NAME.fullmatch(name):
            plain = f"at most {LONGEST_NAME} letters, digits, _ . -, the first no sign"
            raise SettingsError(
                f"{where}.{name} is no table with a plain name; expected [{where}.NAME], NAME of {plain}"
            )
        yield name, body


def _refuse_no_texts(name: str, body: Document) -> None:
    for key in (FROM, "model", "notes"):
        if not isinstance(body.get(key, ""), str):
            raise SettingsError(f"{VARIANTS}.{name}.{key}={body[key]!r} is no text; give one in quotes")


def _combinations(grid: Any) -> Iterator[tuple[str, Document]]:
    """Every combination of the values that a grid lists, as the body of a variant."""
    (_, body), *_ = _bodies("study", {GRID: grid})
    axes = {path: values for path, values in flat(body).items() if path != FROM}
    for path, values in axes.items():
        if not isinstance(values, list) or not values:
            raise SettingsError(f"{GRID}.{path}={values!r} is no list; give the values to try")
    begins = {key: value for key, value in body.items() if key == FROM}
    for name, notes, changes in recipe_study_grid.combinations(axes, LONGEST_NAME):
        yield name, begins | {"notes": notes} | changes


def _variant(name: str, bodies: Mapping[str, Document], study: Study, models: Mapping[str, Any]) -> Variant:
    """A variant with the changes of those that it builds on; its own count before theirs."""
    chain, body = _chain(name, bodies), Document()
    for one in reversed(chain):
        body = merged(body, {key: value for key, value in bodies[one].items() if key not in (FROM, "notes")})
    namesake = next((one for one in chain if one in models), "")
    model = _model(name, body.pop("model", study.model) or namesake, models)
    _refuse_shared(name, body)
    return Variant(name, str(bodies[name].get("notes", "")), model, body)


def _chain(name: str, bodies: Mapping[str, Document]) -> list[str]:
    chain = [name]
    while (before := bodies[chain[-1]].get(FROM)) is not None:
        if before not in bodies or before in chain:
            why = "builds on itself" if before in chain else f"is no variant{knobs.nearest(str(before), bodies)}"
            raise SettingsError(f"{VARIANTS}.{chain[-1]}.{FROM}={before!r} {why}; name another variant")
        chain.append(before)
    return chain


def _refuse_shared(name: str, changes: Mapping[str, Any]) -> None:
    able = _able()
    for table, body in changes.items():
        path = f"{VARIANTS}.{name}.{next(iter(flat({table: body})))}"
        if table in able and isinstance(body, dict):
            _refuse_other_judges(f"{VARIANTS}.{name}.{table}", body)
        elif table in PIPELINES[PIPELINE].all_tables:
            raise SettingsError(f"{path} is the same for all variants; a variant changes {', '.join(able)}")
        else:
            near = knobs.nearest(table, (*able, FROM, "model", "notes"))
            raise SettingsError(f"{path} is no table of a recipe{near}; a variant changes {', '.join(able)}")


def _refuse_other_judges(where: str, body: Mapping[str, Any]) -> None:
    for key in body:
        if key in JUDGED_BY:
            raise SettingsError(
                f"{where}.{key} is the same for all variants: it chooses the pictures that judge them; "
                f"set it in [{where.rsplit('.', 1)[-1]}] of the study"
            )


def _able() -> list[str]:
    """Tables that a variant may change: those of what runs for each model."""
    return [table for table in tables_of("models") if table in PIPELINES[PIPELINE].all_tables]


def _model(name: str, model: str, models: Mapping[str, Any]) -> str:
    if model in models or (not model and not models):
        return model
    if not model and len(models) == 1:
        return next(iter(models))
    given = f"model={model!r} is not one" if model else "no model is named"
    raise SettingsError(f"{VARIANTS}.{name}: {given} of the recipe's models; give model = one of {', '.join(models)}")


def _refuse(study: Study, variants: Sequence[Variant]) -> None:
    names = [variant.name for variant in variants]
    if not names:
        raise SettingsError(f"the study has no variants; give [{VARIANTS}.NAME] tables, or a [{GRID}]")
    if study.base and study.base not in names:
        raise SettingsError(f"base={study.base!r} is no variant{knobs.nearest(study.base, names)}")
    if not study.seeds or len(set(study.seeds)) < len(study.seeds):
        raise SettingsError(f"seeds={study.seeds}; give one or more, each once")
    if len(names) * len(study.seeds) > MOST_TRAININGS:
        asked = f"{len(names)} variants with {len(study.seeds)} seeds are {len(names) * len(study.seeds)} trainings"
        raise SettingsError(f"{asked} for each attribute; a study has at most {MOST_TRAININGS}, split it")


def _tables(models: Mapping[str, Any], variant: Variant) -> Document:
    """What the recipe's model asks for, as far as a study has tasks of it."""
    return {table: body for table, body in _table(models, variant.model).items() if table in _able()}


def _models(variant: Variant, study: Study) -> list[tuple[str, int]]:
    """The models that a variant becomes, each with its seed."""
    return [(f"{variant.name}-seed{seed}", seed) for seed in study.seeds]


def _told(variant: Variant, study: Study) -> Document:
    """What the step `study` is told of a variant."""
    models = [{"name": name, "seed": seed} for name, seed in _models(variant, study)]
    begins = {"model": variant.model} if study.model not in ("", variant.model) else {}
    return {
        "name": variant.name,
        "notes": variant.notes,
        "changes": begins | flat(variant.changes),
        "models": models,
    }

"""Recipe -> KFP IR: the root parameters, and how knobs reach their tasks. The edges stand in the files of the DAGs."""

import inspect
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kfp import compiler, dsl
from kfp.dsl import pipeline_context

from components import knobs
from pipeline import dag, detection_dag, placement, recipe_checks, recipe_loops, study_dag
from pipeline.recipe import Recipe
from pipeline.recipe_steps import FILES, FILES_DIGEST, GROUPS, SOURCE, STEPS

DAGS: dict[str, Callable[[SimpleNamespace, Recipe], None]] = {
    "main": dag.main,
    "study": study_dag.study,
    "detection": detection_dag.detection,
}
RUN_WIDE = ("data_root", "seed")
LOOP_HELP = {
    "attributes": "label dimensions: name, classes, ordinal, own knobs per group of tasks",
    "models": "models to train for every attribute: name, own knobs per group of tasks",
}
BESIDE_GROUPS = ("rounds", "source", "attributes", "models")  # what a DAG reads that belongs to no group of knobs
# One thread: kfp knows one pipeline being traced per process, and a server compiles for several requests at once. Its
# own: kfp reads the whole call stack at every setting of a task, and a request's stack is deep.
_COMPILER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compiler")


@dataclass(frozen=True)
class RootParameter:
    """One parameter of the whole pipeline: its type for KFP, its default (or knobs.REQUIRED) and its help."""

    kind: Any
    default: Any
    help: str


def compile_recipe(recipe: Recipe, cache: bool = True) -> str:
    """Compiles a recipe.

    Args:
        recipe: the recipe.
        cache: False switches caching off for all tasks.

    Returns:
        IR YAML: one document, or two where the recipe asks for Kubernetes settings; the same bytes for the same recipe.

    Raises:
        RecipeError: a task of it would refuse its settings.
    """
    recipe_checks.refuse_contradictions(recipe)
    return _COMPILER.submit(_compile, recipe, cache).result()


def _compile(recipe: Recipe, cache: bool) -> str:
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dsl.pipeline(name=recipe.head.name.replace("_", "-"), description=recipe.head.description)(
            _traced(recipe, cache)
        )
        target = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(target))
        text = target.read_text(encoding="utf-8")
    # kfp lists the defaults in a comment, structs in hash order: two compilations would differ in nothing but that.
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    return f"# PIPELINE DEFINITION\n# Name: {pipeline.name}\n# Description: {recipe.head.description}\n{body}"


def pipeline_parameters(recipe: Recipe) -> dict[str, Any]:
    """The value that a recipe gives to each root parameter; those it leaves to the start of the run are absent."""
    values = {name: parameter.default for name, parameter in root_parameters(recipe).items()}
    return {name: value for name, value in values.items() if value is not knobs.REQUIRED}


def given_at_start(recipe: Recipe) -> list[str]:
    """What whoever starts the compiled pipeline has to give, with an example each, as words of a command."""
    examples = {
        "rounds": """'rounds=[{"name": "round1", "uri": "gs://BUCKET/round1", "digest": ""}]'""",
        "data_root": "data_root=gs://BUCKET/data",
    }
    return [examples[n] for n, p in root_parameters(recipe).items() if p.default is knobs.REQUIRED]


def root_parameters(recipe: Recipe) -> dict[str, RootParameter]:
    """All root parameters, those without a default first, then one `<group>_<knob>` for every knob."""
    given = {recipe.pipeline.data: _data(recipe)}
    given["data_root"] = RootParameter(
        str, recipe.head.data_root or knobs.REQUIRED, "folder or gs:// address of all references"
    )
    given |= {loop: _loop(recipe, loop) for loop in recipe.pipeline.loops}
    given["seed"] = RootParameter(int, recipe.head.seed, "seed of every step")
    given |= {name: RootParameter(*told) for name, told in placement.parameters(recipe.placement).items()}
    for group in recipe.active:
        given |= {f"{group}_{name}": parameter for name, parameter in _knobs(group, recipe.groups[group]).items()}
    given |= {f"{group}_{FILES_DIGEST}": _files_digest(group) for group in recipe.active if group in FILES}
    return dict(sorted(given.items(), key=lambda item: item[1].default is not knobs.REQUIRED))


def _data(recipe: Recipe) -> RootParameter:
    if recipe.pipeline.data == SOURCE:
        return RootParameter(str, recipe.data.source, "folder or gs:// address of data files without a full address")
    rounds = [{"name": f"round{i}", "uri": uri, "digest": ""} for i, uri in enumerate(recipe.data.rounds, start=1)]
    help = "rounds of data, oldest first: name, uri, digest of the data"
    return RootParameter(list[dict[str, Any]], rounds or knobs.REQUIRED, help)


def _loop(recipe: Recipe, loop: str) -> RootParameter:
    items = recipe_loops.for_tasks(loop, getattr(recipe, loop), recipe.generations)
    return RootParameter(list[dict[str, dict[str, Any]]], items, LOOP_HELP[loop])


def _knobs(group: str, settings: Any) -> dict[str, RootParameter]:
    types = knobs.types_of(type(settings))
    values = knobs.as_mapping(settings)
    return {
        f.name: RootParameter(types[f.name], values[f.name], f"{group}: {knobs.describe(f)}") for f in fields(settings)
    }


def _files_digest(group: str) -> RootParameter:
    return RootParameter(str, "", f"{group}: digest of the files that its settings name; another one, another task")


def _traced(recipe: Recipe, cache: bool) -> Callable[..., None]:
    """A function with the signature that KFP reads: its parameters are only known once the recipe is."""
    parameters = root_parameters(recipe)

    def pipeline(*channels: Any) -> None:
        named = dict(zip(parameters, channels, strict=True))
        DAGS[recipe.head.pipeline](_by_group(recipe, named), recipe)
        tasks = pipeline_context.Pipeline.get_default_pipeline().tasks.values()
        placement.place(tasks, recipe.placement, named, cache)

    pipeline.__doc__ = "\n".join(
        [recipe.head.description, "", "Args:", *(f"  {n}: {p.help}" for n, p in parameters.items())]
    )
    signature = inspect.Signature([_signature(name, p) for name, p in parameters.items()])
    pipeline.__signature__ = signature  # type: ignore[attr-defined]
    return pipeline


def _signature(name: str, parameter: RootParameter) -> inspect.Parameter:
    default = inspect.Parameter.empty if parameter.default is knobs.REQUIRED else parameter.default
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=parameter.kind, default=default)


def _by_group(recipe: Recipe, channels: dict[str, Any]) -> SimpleNamespace:
    p = SimpleNamespace(**{name: channels[name] for name in BESIDE_GROUPS if name in channels})
    for group in recipe.active:
        step = STEPS[GROUPS[group]]
        run_wide = {name: channels[name] for name in RUN_WIDE if name in {f.name for f in fields(step.Inputs)}}
        own = [f.name for f in fields(step.Settings)] + [FILES_DIGEST] * (group in FILES)
        setattr(p, group, run_wide | {name: channels[f"{group}_{name}"] for name in own})
    return p

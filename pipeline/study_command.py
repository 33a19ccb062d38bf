"""`seamline study`: variants of a recipe, each with several seeds, as one run that goes on where it was killed.

Heavy modules are imported inside the command.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import RecipeError
from pipeline.options import (
    gpu_hours_option,
    json_option,
    launcher_option,
    no_cache_option,
    set_option,
    state_option,
    strict_option,
)
from pipeline.output import print_json, stdout

if TYPE_CHECKING:
    from pipeline.engine.runner import Engine
    from pipeline.recipe import Recipe

LABEL = "study"


@click.command()
@click.argument("study", metavar="STUDY")
@click.option("--data", default="", metavar="DIR", help="Folder of the rounds; by default what the recipe says.")
@set_option
@click.option("--plan", "plan_only", is_flag=True, help="Only show the variants and how many trainings they are.")
@state_option
@launcher_option
@strict_option
@no_cache_option
@gpu_hours_option
@json_option
def study(
    study: str,
    data: str,
    overrides: tuple[str, ...],
    plan_only: bool,
    state_dir: Path,
    launcher: str,
    as_json: bool,
    **how: bool,
) -> None:
    """Compare the variants of STUDY (a file, or a name like `cnn_zoo`): each trained with several seeds, as one run.

    A study that was stopped or killed goes on with the same run; of one that has ended, everything is reused, unless
    --no-cache says not to.
    """
    from pipeline import compile as compiling
    from pipeline import cost, launchers, local, running
    from pipeline import recipe as recipes

    read = recipes.load(study, overrides, recipes.STUDIES)
    if read.head.pipeline != LABEL:
        raise RecipeError(f"{study} has no [variants.NAME] and no [grid]; give a study, or `seamline run {study}`")
    with running.terminal().status("Compiling the pipeline"):
        text = compiling.compile_recipe(read)
    if plan_only:
        _print_plan(read, as_json)
        return
    place = launchers.place(launcher, state_dir)
    place.ask()  # before anything is made
    text = place.pinned(text)
    engine = local.open_engine(state_dir, launcher=launcher, strict=how["strict"])
    engine.refuse_if_busy()
    with running.terminal().status("Preparing the data"):
        given, answers = local.prepare(read, data, state_dir)
    if absent := local.left_out(read, given):
        click.echo(f"not in the data, left out: {', '.join(absent)}", err=True)
    if known := read.groups[LABEL].answers or answers:
        given["study_answers"] = local.absolute(known)
    digest = _digest(text, given, how["no_cache"])
    run_id = _unfinished(engine, state_dir, digest)
    if not run_id:
        labels = {"recipe": study, "overrides": list(overrides), "data": data, LABEL: digest, **cost.label(read.prices)}
        run_id = engine.create_run(text, given, name=read.head.name, labels=labels, cache=not how["no_cache"])
    running.execute(engine, state_dir, run_id, as_json)


def _digest(text: str, given: Mapping[str, Any], no_cache: bool) -> str:
    """Names a study by what it does: the same file on the same data is the same study, but for one without cache."""
    what = [text, given, "no cache"] if no_cache else [text, given]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def _unfinished(engine: "Engine", state_dir: Path, digest: str) -> str:
    """The newest run of this study, made ready to go on, if it has not succeeded; else an empty text."""
    from pipeline.engine.states import RunState
    from pipeline.engine.store import Store

    runs = Store.open(state_dir, read_only=True).runs()
    run = next((one for one in runs if one.labels.get(LABEL) == digest), None)
    if run is None or run.state is RunState.SUCCEEDED:
        return ""
    if run.state is not RunState.PENDING and not engine.is_executing(run):
        engine.retry(run.run_id)
    click.echo(f"going on with run {run.run_id[:8]}", err=True)
    return run.run_id


def _print_plan(recipe: "Recipe", as_json: bool) -> None:
    settings = recipe.groups[LABEL]
    phases = ["round1", "round2"] if recipe.generations.round2 else ["round1"]
    trainings = len(recipe.models) * len(recipe.attributes) * len(phases)
    if as_json:
        print_json({"base": settings.base, "trainings": trainings, "variants": settings.variants})
        return
    from rich.table import Table

    table = Table(box=None)
    for column in ("variant", "seeds", "notes", "changes"):
        table.add_column(column)
    for variant in settings.variants:
        seeds = ", ".join(str(model["seed"]) for model in variant["models"])
        changes = ", ".join(f"{name}={value}" for name, value in variant["changes"].items())
        table.add_row(variant["name"], seeds, variant["notes"], changes)
    stdout().print(table)
    shared = "ingest once, preprocess once for each attribute"
    click.echo(f"{trainings} trainings against {settings.base}; shared by all: {shared}")

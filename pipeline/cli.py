"""The command `seamline`. Results go to stdout, progress to stderr; exit 0 done, 1 the run or check failed, 2 usage.

Heavy modules are imported inside the commands that need them: `seamline runs` must not wait for a compiler.
"""

import sys
from pathlib import Path

import click

from pipeline import gc_command, images_command, remote_command, run_commands, study_command, watch_command
from pipeline.command_errors import OneLineErrors
from pipeline.errors import PipelineError, RecipeError
from pipeline.options import (
    gpu_hours_option,
    json_option,
    launcher_option,
    no_cache_option,
    pin_images_option,
    set_option,
    state_option,
    strict_option,
)
from pipeline.output import print_json, stdout
from pipeline.serve_command import serve


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seamline")
def main() -> None:
    """Rounds of labelled pictures in, one honest, reproducible prediction file out."""


for command in (
    serve,
    remote_command.submit,
    run_commands.runs_command,
    run_commands.show_command,
    run_commands.logs,
    run_commands.terminate,
    run_commands.retry,
    run_commands.rerun,
    watch_command.watch,
    watch_command.rollback,
    gc_command.gc,
    study_command.study,
    images_command.images_group,
):
    main.add_command(command)


@main.command()
@click.argument("recipe")
@click.option("--data", default="", metavar="DIR", help="Folder of the rounds; by default what the recipe says.")
@set_option
@state_option
@launcher_option
@strict_option
@no_cache_option
@gpu_hours_option
@json_option
def run(
    recipe: str,
    data: str,
    overrides: tuple[str, ...],
    state_dir: Path,
    launcher: str,
    strict: bool,
    no_cache: bool,
    as_json: bool,
) -> None:
    """Run RECIPE (a file, or a name like `demo`) on this machine."""
    from pipeline import compile as compiling
    from pipeline import cost, launchers, local, recipe_study, running
    from pipeline import recipe as recipes

    read = recipes.load(recipe, overrides)
    if read.head.pipeline == recipe_study.PIPELINE:
        how = "which goes on with a run that was stopped and knows the answers of test pictures"
        raise RecipeError(f"{recipe} is a study; use `seamline study {recipe}`, {how}")
    with running.terminal().status("Compiling the pipeline"):
        text = compiling.compile_recipe(read)
    place = launchers.place(launcher, state_dir)
    place.ask()  # before anything is made
    text = place.pinned(text)
    engine = local.open_engine(state_dir, launcher=launcher, strict=strict)
    engine.refuse_if_busy()  # before the data: a folder that cannot be used is said at once
    with running.terminal().status("Preparing the data"):
        given, answers = local.prepare(read, data, state_dir)
    if absent := local.left_out(read, given):
        click.echo(f"not in the data, left out: {', '.join(absent)}", err=True)
    labels = {"recipe": recipe, "overrides": list(overrides), "data": data, "answers": answers}
    labels |= cost.label(read.prices)
    run_id = engine.create_run(text, given, name=read.head.name, labels=labels, cache=not no_cache)
    running.execute(engine, state_dir, run_id, as_json)


@main.command("compile")
@click.argument("recipe")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The YAML file to write.")
@strict_option
@pin_images_option
@gpu_hours_option
@set_option
def compile_command(recipe: str, output: Path, strict: bool, pin_images: bool, overrides: tuple[str, ...]) -> None:
    """Compile RECIPE to a pipeline that Kubeflow Pipelines 2.17 runs."""
    from pipeline import compile as compiling
    from pipeline import placement, strict_kfp
    from pipeline import recipe as recipes

    read = recipes.load(recipe, overrides)
    text = compiling.compile_recipe(placement.bounded(read))
    if pin_images:
        text = images_command.pinned_for_cluster(text)
    if strict:
        strict_kfp.refuse(text, {})
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{output} cannot be written: {error.strerror}; give another path with -o") from error
    click.echo(f"{output}: {len(text.encode()):,} bytes")
    if missing := compiling.given_at_start(read):
        click.echo(f"to start it: kfp run create -e EXPERIMENT -f {output} {' '.join(missing)}", err=True)


@main.command("score")
@click.argument("answers", type=click.Path(path_type=Path))
@click.argument("submission", type=click.Path(path_type=Path))
@click.option("--reading", default="per_item", show_default=True, help="per_item, distinct, rank or grid (A to D).")
@click.option("--partial", is_flag=True, help="Judge only the names that both files have.")
@json_option
def score_command(answers: Path, submission: Path, reading: str, partial: bool, as_json: bool) -> None:
    """Score SUBMISSION against ANSWERS with the contest's metric."""
    from pipeline import score

    result = score.score(answers, submission, reading, partial=partial)
    if as_json:
        print_json(score.as_json(result))
    else:
        click.echo(score.render(result))


@main.command("demo-data")
@click.argument("what_and_out", nargs=-1, metavar="[contest|boats|folders] OUT")
@click.option("--seed", default=0, show_default=True, help="Another seed draws other pictures.")
@click.option(
    "--images", type=int, help="Pictures: labelled ones of each attribute, or with boats; else the usual number."
)
def demo_data(what_and_out: tuple[str, ...], seed: int, images: int | None) -> None:
    """Draw a small data set into OUT, with every quirk of the real one.

    It is in the contest's format, or, after the word boats, in that of Open Images, or, after the word folders, in a
    folder per class.
    """
    from pipeline import running
    from pipeline.datasets import registry

    with running.terminal().status("Drawing"):
        said = registry.draw(what_and_out, seed, images)
    click.echo(said)


@main.command("doctor")
@state_option
@json_option
def doctor_command(state_dir: Path, as_json: bool) -> None:
    """Say what is missing on this machine, and the command that mends it."""
    from dataclasses import asdict

    from pipeline import doctor, show

    found = doctor.examine(state_dir)
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        stdout().print(show.findings(found))
    if any(finding.state == "missing" for finding in found):
        sys.exit(1)

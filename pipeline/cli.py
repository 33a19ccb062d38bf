"""The command `seamline`. Results go to stdout, progress to stderr; exit 0 done, 1 the run or check failed, 2 usage.

Heavy modules are imported inside the commands that need them: `seamline runs` must not wait for a compiler.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from pipeline import remote_command, watch_command
from pipeline.command_errors import OneLineErrors
from pipeline.errors import PipelineError, RecipeError
from pipeline.options import Host, endpoint_options, json_option, set_option, state_option
from pipeline.serve_command import serve


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seamline")
def main() -> None:
    """Rounds of labelled pictures in, one honest, reproducible prediction file out."""


main.add_command(serve)
main.add_command(remote_command.submit)
main.add_command(watch_command.watch)
main.add_command(watch_command.rollback)


@main.command()
@click.argument("recipe")
@click.option("--data", default="", metavar="DIR", help="Folder of the rounds; by default what the recipe says.")
@set_option
@state_option
@click.option(
    "--launcher", type=click.Choice(["process"]), default="process", show_default=True, help="Where steps run."
)
@click.option("--no-cache", is_flag=True, help="Run every task, also where its result is known.")
@json_option
def run(
    recipe: str, data: str, overrides: tuple[str, ...], state_dir: Path, launcher: str, no_cache: bool, as_json: bool
) -> None:
    """Run RECIPE (a file, or a name like `demo`) on this machine."""
    from pipeline import compile as compiling
    from pipeline import local, running
    from pipeline import recipe as recipes

    read = recipes.load(recipe, overrides)
    with running.terminal().status("Compiling the pipeline"):
        text = compiling.compile_recipe(read)
    engine = local.open_engine(state_dir)
    engine.refuse_if_busy()  # before the data: a folder that cannot be used is said at once
    with running.terminal().status("Preparing the data"):
        given, answers = local.prepare(read, data, state_dir)
    if absent := local.left_out(read, given):
        click.echo(f"not in the data, left out: {', '.join(absent)}", err=True)
    labels = {"recipe": recipe, "overrides": list(overrides), "data": data, "answers": answers}
    run_id = engine.create_run(text, given, name=read.head.name, labels=labels, cache=not no_cache)
    running.execute(engine, state_dir, run_id, as_json)


@main.command("compile")
@click.argument("recipe")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The YAML file to write.")
@set_option
def compile_command(recipe: str, output: Path, overrides: tuple[str, ...]) -> None:
    """Compile RECIPE to a pipeline that Kubeflow Pipelines 2.17 runs."""
    from pipeline import compile as compiling
    from pipeline import recipe as recipes

    read = recipes.load(recipe, overrides)
    text = compiling.compile_recipe(read)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{output} cannot be written: {error.strerror}; give another path with -o") from error
    click.echo(f"{output}: {len(text.encode()):,} bytes")
    if missing := compiling.given_at_start(read):
        click.echo(f"to start it: kfp run create -e EXPERIMENT -f {output} {' '.join(missing)}", err=True)


@main.command("runs")
@state_option
@click.option(
    "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="How many, newest first; 0 for all."
)
@endpoint_options()
@json_option
def runs_command(state_dir: Path, limit: int, host: Host | None, as_json: bool) -> None:
    """List runs, newest first."""
    if host:
        remote_command.list_runs(host, limit, as_json)
        return
    from pipeline import local, show
    from pipeline.engine.store import Store

    reader = Store.open(state_dir, read_only=True)
    found = reader.runs(limit=limit)
    if as_json:
        _print_json([show.run_as_json(one, ()) for one in found])
        return
    scored = [(one, show.score_in_words(local.results(reader, one.run_id))) for one in found]
    _stdout().print(show.runs(scored))


@main.command("show")
@click.argument("run_id", metavar="RUN")
@state_option
@json_option
def show_command(run_id: str, state_dir: Path, as_json: bool) -> None:
    """Show a run (its id, the beginning of it, or `latest`): tasks, states, and why each ran or did not."""
    from pipeline import running, show
    from pipeline.engine.store import Store

    reader = Store.open(state_dir, read_only=True)
    found = reader.run(run_id)
    members = [task for task in reader.tasks(found.run_id) if task.is_leaf]
    if as_json:
        _print_json(show.run_as_json(found, members))
        return
    console = _stdout()
    console.print(f"run {found.run_id}  {found.name}  {show.run_state(found).plain}  {found.reason}", highlight=False)
    console.print(show.tasks(members))
    click.echo(running.outcome(reader, found).text())


@main.command()
@click.argument("run_id", metavar="RUN")
@click.argument("task")
@click.option("-f", "--follow", is_flag=True, help="Go on as the task writes.")
@click.option("--attempt", type=click.IntRange(min=0), default=0, help="Which attempt; by default the last.")
@state_option
def logs(run_id: str, task: str, follow: bool, attempt: int, state_dir: Path) -> None:
    """Print the log of TASK of RUN."""
    from pipeline import task_log
    from pipeline.engine.store import Store

    reader = Store.open(state_dir, read_only=True)
    found = reader.run(run_id)
    one = reader.task(found.run_id, task)
    if follow and not attempt:
        for text in task_log.follow(reader, found.run_id, one.key):
            click.echo(text, nl=False)
    else:
        click.echo(reader.log_path(found.run_id, one.key, attempt).read_bytes(), nl=False)


@main.command()
@click.argument("run_id", metavar="RUN")
@state_option
@endpoint_options()
@json_option
def terminate(run_id: str, state_dir: Path, host: Host | None, as_json: bool) -> None:
    """Stop RUN, also when another process executes it; `seamline retry` goes on where it stopped."""
    if host:
        remote_command.terminate(host, run_id, as_json)
        return
    from pipeline import local, words
    from pipeline.engine.store import Store

    found = Store.open(state_dir, read_only=True).run(run_id)
    state = local.open_engine(state_dir).terminate(found.run_id)
    if as_json:
        _print_json({"run_id": found.run_id, "state": str(state)})
    else:
        click.echo(f"run {found.run_id[:8]}: asked to stop, now {words.RUN_WORDS[state]}")


@main.command()
@click.argument("run_id", metavar="RUN")
@click.option("--plan", "plan_only", is_flag=True, help="Only show what would run.")
@state_option
@endpoint_options()
@json_option
def retry(run_id: str, plan_only: bool, state_dir: Path, host: Host | None, as_json: bool) -> None:
    """Go on with a failed, stopped or interrupted RUN; what succeeded is kept."""
    if host:
        remote_command.retry(host, run_id, as_json)
        return
    from pipeline import local, running

    engine = local.open_engine(state_dir, must_exist=True)
    plan = engine.plan_retry(run_id)
    _print_plan(plan, plan_only, as_json)
    if not plan_only:
        engine.retry(plan.run_id)
        running.execute(engine, state_dir, plan.run_id, as_json)


@main.command()
@click.argument("run_id", metavar="RUN")
@click.option("--task", required=True, help="Which task: its name, or enough of it to be unique.")
@set_option
@click.option("--plan", "plan_only", is_flag=True, help="Only show what would run.")
@state_option
@endpoint_options()
@json_option
def rerun(
    run_id: str,
    task: str,
    overrides: tuple[str, ...],
    plan_only: bool,
    state_dir: Path,
    host: Host | None,
    as_json: bool,
) -> None:
    """Repeat one TASK of any RUN in a new run, with changed settings if wished."""
    if host:
        remote_command.rerun(host, run_id, task, dict(_split(text) for text in overrides), plan_only, as_json)
        return
    from pipeline import changes as checking
    from pipeline import local, running
    from pipeline.engine.store import Store

    reader = Store.open(state_dir, read_only=True)
    engine = local.open_engine(state_dir)
    changes = dict(_split(text) for text in overrides)
    checking.check(reader.task(reader.run(run_id).run_id, task), changes)
    _print_plan(engine.plan_rerun(run_id, task, changes), plan_only, as_json)
    if not plan_only:
        engine.refuse_if_busy()
        running.execute(engine, state_dir, engine.rerun(run_id, task, changes), as_json)


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
        _print_json(score.as_json(result))
    else:
        click.echo(score.render(result))


@main.command("demo-data")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Another seed draws other pictures.")
@click.option("--images", type=int, help="Training pictures for each attribute; by default the usual number.")
def demo_data(out: Path, seed: int, images: int | None) -> None:
    """Draw a small data set in the contest's format into OUT, with every quirk of the real one."""
    from pipeline import running
    from pipeline.datasets import demo

    with running.terminal().status("Drawing"):
        made = demo.draw(out, seed=seed, images=demo.IMAGES if images is None else images)
    click.echo(f"{made.folder}: rounds {', '.join(r['name'] for r in made.rounds)}, answers {made.answers}")


@main.command("doctor")
@state_option
@json_option
def doctor_command(state_dir: Path, as_json: bool) -> None:
    """Say what is missing on this machine, and the command that mends it."""
    from dataclasses import asdict

    from pipeline import doctor, show

    found = doctor.examine(state_dir)
    if as_json:
        _print_json([asdict(finding) for finding in found])
    else:
        _stdout().print(show.findings(found))
    if any(finding.state == "missing" for finding in found):
        sys.exit(1)


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise RecipeError(f"--set {text!r} has no value; expected name=value, for instance epochs=3")
    return name.strip(), value.strip()


def _print_plan(plan: Any, as_result: bool, as_json: bool) -> None:
    """A plan is the result of `--plan`; before a run it is only progress."""
    from pipeline import running, show

    if as_result and as_json:
        _print_json(show.plan_as_json(plan))
    else:
        (_stdout() if as_result else running.terminal()).print(show.plan(plan))


def _stdout() -> Console:
    """A console that does not cut tables where the output is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=200, soft_wrap=True)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))

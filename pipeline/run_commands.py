"""`seamline runs`, `show`, `logs`, `terminate`, `retry`, `rerun`: what looks at runs and goes on with them.

Heavy modules are imported inside the commands that need them.
"""

from pathlib import Path
from typing import Any

import click

from pipeline import remote_command
from pipeline.errors import RecipeError
from pipeline.options import (
    Host,
    endpoint_options,
    json_option,
    launcher_option,
    more_gpu_hours_option,
    set_option,
    state_option,
)
from pipeline.output import print_json, stdout


@click.command("runs")
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
        print_json([show.run_as_json(one, ()) for one in found])
        return
    scored = [(one, show.score_in_words(local.results(reader, one.run_id))) for one in found]
    stdout().print(show.runs(scored))


@click.command("show")
@click.argument("run_id", metavar="RUN")
@click.option("--cost", "with_cost", is_flag=True, help="What its tasks have cost: hours of GPUs and CPUs, and money.")
@state_option
@endpoint_options()
@json_option
def show_command(run_id: str, with_cost: bool, state_dir: Path, host: Host | None, as_json: bool) -> None:
    """Show a run (its id, the beginning of it, or `latest`): tasks, states, and why each ran or did not."""
    if host:
        remote_command.refuse(with_cost, "--cost", "a KFP endpoint does not tell what its tasks asked for")
        remote_command.show(host, run_id, as_json)
        return
    from pipeline import cost, running, show
    from pipeline.engine.store import Store

    reader = Store.open(state_dir, read_only=True)
    found = reader.run(run_id)
    if with_cost:
        told = cost.of_run(reader, found)
        print_json(told.as_json()) if as_json else stdout().print(told.table(), told.total())
        return
    members = [task for task in reader.tasks(found.run_id) if task.is_leaf]
    if as_json:
        print_json(show.run_as_json(found, members))
        return
    console = stdout()
    console.print(f"run {found.run_id}  {found.name}  {show.run_state(found).plain}  {found.reason}", highlight=False)
    console.print(show.tasks(members))
    click.echo(running.outcome(reader, found).text())


@click.command()
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


@click.command()
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
        print_json({"run_id": found.run_id, "state": str(state)})
    else:
        click.echo(f"run {found.run_id[:8]}: asked to stop, now {words.RUN_WORDS[state]}")


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--plan", "plan_only", is_flag=True, help="Only show what would run.")
@more_gpu_hours_option
@state_option
@launcher_option
@endpoint_options()
@json_option
def retry(
    run_id: str,
    plan_only: bool,
    gpu_hours: float | None,
    state_dir: Path,
    launcher: str,
    host: Host | None,
    as_json: bool,
) -> None:
    """Go on with a failed, stopped or interrupted RUN; what succeeded is kept."""
    if host:
        remote_command.refuse(gpu_hours is not None, "--gpu-hours", "a KFP endpoint knows no budget of a run")
        remote_command.retry(host, run_id, as_json)
        return
    from pipeline import launchers, local, running

    engine = local.open_engine(state_dir, must_exist=True, launcher=launcher)
    plan = engine.plan_retry(run_id)
    _print_plan(plan, plan_only, as_json)
    if not plan_only:
        launchers.place(launcher, state_dir).ask()
        engine.retry(plan.run_id, gpu_hours)
        running.execute(engine, state_dir, plan.run_id, as_json)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--task", required=True, help="Which task: its name, or enough of it to be unique.")
@set_option
@click.option("--plan", "plan_only", is_flag=True, help="Only show what would run.")
@state_option
@launcher_option
@endpoint_options()
@json_option
def rerun(
    run_id: str,
    task: str,
    overrides: tuple[str, ...],
    plan_only: bool,
    state_dir: Path,
    launcher: str,
    host: Host | None,
    as_json: bool,
) -> None:
    """Repeat one TASK of any RUN in a new run, with changed settings if wished."""
    if host:
        remote_command.rerun(host, run_id, task, dict(_split(text) for text in overrides), plan_only, as_json)
        return
    from pipeline import changes as checking
    from pipeline import launchers, local, running
    from pipeline.engine.store import Store

    reader = Store.open(state_dir, read_only=True)
    engine = local.open_engine(state_dir, launcher=launcher)
    chosen = reader.task(reader.run(run_id).run_id, task)
    changes = checking.typed(chosen, dict(_split(text) for text in overrides))
    _print_plan(engine.plan_rerun(run_id, task, changes), plan_only, as_json)
    if not plan_only:
        launchers.place(launcher, state_dir).ask()
        engine.refuse_if_busy()
        running.execute(engine, state_dir, engine.rerun(run_id, task, changes), as_json)


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise RecipeError(f"--set {text!r} has no value; expected name=value, for instance epochs=3")
    return name.strip(), value.strip()


def _print_plan(plan: Any, as_result: bool, as_json: bool) -> None:
    """A plan is the result of `--plan`; before a run it is only progress."""
    from pipeline import running, show

    if as_result and as_json:
        print_json(show.plan_as_json(plan))
    else:
        (stdout() if as_result else running.terminal()).print(show.plan(plan))

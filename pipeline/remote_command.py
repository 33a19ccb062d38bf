"""`seamline submit`, and what the other commands do with `--host`: the same, on any KFP v2beta1 endpoint."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from pipeline.errors import PipelineError
from pipeline.options import (
    Host,
    endpoint_options,
    gpu_hours_option,
    json_option,
    no_cache_option,
    pin_images_option,
    set_option,
    shared_paths_option,
    state_option,
)
from pipeline.output import print_json

if TYPE_CHECKING:
    from pipeline.remote import Endpoint, RemoteRun, Standing

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOLD_BY_NAME = ("RUNNING", "FAILED")


@click.command()
@click.argument("recipe")
@click.option(
    "--data", default="", metavar="DIR", help="Folder or gs:// address of the rounds, as the endpoint sees it."
)
@click.option("--experiment", default="", help="Its name; by default the endpoint's default one.")
@click.option("--wait", is_flag=True, help="Wait until the run has ended; exit 1 if it did not succeed.")
@no_cache_option
@pin_images_option
@gpu_hours_option
@set_option
@endpoint_options(required=True)
@shared_paths_option
@state_option
@json_option
def submit(
    recipe: str, data: str, overrides: tuple[str, ...], host: Host, state_dir: Path, as_json: bool, **how: Any
) -> None:
    """Run RECIPE on a KFP v2beta1 endpoint: a cluster's, or a `seamline serve`."""
    from pipeline import compile as compiling
    from pipeline import images_command, local, placement
    from pipeline import recipe as recipes

    read = recipes.load(recipe, overrides)
    endpoint = connect(host)
    text = compiling.compile_recipe(placement.bounded(read), cache=not how["no_cache"])
    if how["pin_images"]:
        text = images_command.pinned_for_cluster(text)
    endpoint.runs(1)  # an endpoint that does not answer is said before data is prepared
    given, _ = local.prepare(read, data, state_dir)
    refuse_local_paths(endpoint, given, how["shared_paths"])
    run_id = endpoint.submit_version(text, given, read.head.name, how["experiment"])
    if how["wait"]:
        follow(endpoint, run_id, as_json)
    else:
        _say(endpoint, endpoint.run(run_id), as_json)


def connect(host: Host) -> "Endpoint":
    """The endpoint that the options name."""
    from pipeline import remote_auth
    from pipeline.remote import Endpoint

    login = remote_auth.login_of(host.auth, host.token, host.address)
    return Endpoint(host.address, login, namespace=host.namespace)


def list_runs(host: Host, limit: int, as_json: bool) -> None:
    """`seamline runs --host`."""
    from dataclasses import asdict

    found = connect(host).runs(limit or 200)
    if as_json:
        print_json([asdict(run) for run in found])
        return
    for run in found:
        click.echo(f"{run.run_id}  {run.state:<10}  {run.created_at}  {run.name}")


def show(host: Host, run_id: str, as_json: bool) -> None:
    """`seamline show --host`: what the endpoint lists as tasks, on a stock KFP the nodes of a workflow."""
    endpoint = connect(host)
    run, rows = endpoint.run(run_id), endpoint.rows(run_id)
    if not as_json:
        for name, state in rows:
            click.echo(f"{state:<10}  {name}")
    _say(endpoint, run, as_json, tasks=[{"name": name, "state": state} for name, state in rows])


def terminate(host: Host, run_id: str, as_json: bool) -> None:
    """`seamline terminate --host`."""
    endpoint = connect(host)
    endpoint.terminate(run_id)
    _say(endpoint, endpoint.run(run_id), as_json)


def retry(host: Host, run_id: str, as_json: bool) -> None:
    """`seamline retry --host`: through the endpoint's own retry."""
    endpoint = connect(host)
    endpoint.retry(run_id)
    follow(endpoint, run_id, as_json)


def rerun(host: Host, run_id: str, task: str, changes: Mapping[str, str], plan_only: bool, as_json: bool) -> None:
    """`seamline rerun --host`: through a derived pipeline."""
    from dataclasses import asdict

    endpoint = connect(host)
    derived = endpoint.plan_rerun(run_id, task, changes)
    if plan_only and as_json:
        print_json([asdict(row) for row in derived.rows])
        return
    for row in derived.rows:
        click.echo(f"{row.action:<6} {row.label}: {row.reason}", err=not plan_only)
    if not plan_only:
        follow(endpoint, endpoint.rerun(run_id, task, derived), as_json)


def follow(endpoint: "Endpoint", run_id: str, as_json: bool) -> None:
    """Waits for a run's end and exits with 1 if it did not succeed; Ctrl-C ends the waiting, not the run."""
    try:
        for now in endpoint.wait(run_id):
            click.echo(f"run {run_id[:8]} {now.run.state}{_tasks(now)}", err=True)
    except KeyboardInterrupt:
        click.echo(f"the run goes on at {endpoint.host}", err=True)
        sys.exit(130)
    _say(endpoint, now.run, as_json)
    if now.run.state != "SUCCEEDED":
        sys.exit(1)


def _tasks(now: "Standing") -> str:
    """`: 3 SUCCEEDED, 2 RUNNING (predict, train-round1)`: tasks by state, named where they need a look."""
    states = dict.fromkeys(state for _, state in now.tasks)
    parts = []
    for state in sorted(states, key=lambda s: (s not in TOLD_BY_NAME, s)):
        names = sorted(name for name, other in now.tasks if other == state)
        number = sum(count for (_, other), count in now.tasks.items() if other == state)
        parts.append(f"{number} {state}" + (f" ({', '.join(names)})" if state in TOLD_BY_NAME else ""))
    return f": {', '.join(parts)}" if parts else ""


def _say(endpoint: "Endpoint", run: "RemoteRun", as_json: bool, **more: Any) -> None:
    from dataclasses import asdict

    address = f"{endpoint.host}/#/runs/details/{run.run_id}"
    if as_json:
        print_json({**asdict(run), "address": address, **more})
        return
    click.echo(f"run {run.run_id} {run.state} {run.problem}".rstrip() + f"\n{address}")


def refuse(given: bool, option: str, why: str) -> None:
    """Refuses an option that means nothing with `--host`."""
    if given:
        raise PipelineError(f"{option} does not go with --host: {why}; leave one of them out")


def refuse_local_paths(endpoint: "Endpoint", given: Mapping[str, Any], shared: bool = False) -> None:
    """Paths of this machine mean nothing on another one, which may stand behind an address of this machine.

    Args:
        endpoint: where the run is to be made.
        given: its parameters.
        shared: the user says that the endpoint sees this machine's folders.
    """
    paths = [given["data_root"], given.get("source", ""), *(r["uri"] for r in given.get("rounds", []))]
    here = [path for path in paths if path and "://" not in path]
    if not here or shared or (urlsplit(endpoint.host).hostname in LOOPBACK and endpoint.shares_files()):
        return
    raise PipelineError(
        f"{here[0]} is a path of this machine, which {endpoint.host} cannot read: no `seamline serve` on these files "
        "answers there; give --data gs://BUCKET/ROUNDS and --set data_root=gs://BUCKET/FOLDER, or --shared-paths "
        "where it sees the same folders"
    )

"""`seamline submit`, and what the other commands do with `--host`: the same, on any KFP v2beta1 endpoint."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from pipeline.errors import PipelineError
from pipeline.options import Host, endpoint_options, json_option, set_option, state_option

if TYPE_CHECKING:
    from pipeline.remote import Endpoint, RemoteRun

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
@click.argument("recipe")
@click.option(
    "--data", default="", metavar="DIR", help="Folder or gs:// address of the rounds, as the endpoint sees it."
)
@click.option("--experiment", default="", help="Its name; by default the endpoint's default one.")
@click.option("--wait", is_flag=True, help="Wait until the run has ended; exit 1 if it did not succeed.")
@set_option
@endpoint_options(required=True)
@state_option
@json_option
def submit(
    recipe: str,
    data: str,
    experiment: str,
    wait: bool,
    overrides: tuple[str, ...],
    host: Host,
    state_dir: Path,
    as_json: bool,
) -> None:
    """Run RECIPE on a KFP v2beta1 endpoint: a cluster's, or a `seamline serve`."""
    from pipeline import compile as compiling
    from pipeline import local
    from pipeline import recipe as recipes

    read = recipes.load(recipe, overrides)
    given, _ = local.prepare(read, data, state_dir)
    refuse_local_paths(host, given)
    endpoint = connect(host)
    run_id = endpoint.submit(compiling.compile_recipe(read), given, read.head.name, experiment)
    if wait:
        follow(endpoint, run_id, as_json)
    else:
        _say(endpoint, endpoint.run(run_id), as_json)


def connect(host: Host) -> "Endpoint":
    """The endpoint that the options name."""
    from pipeline.remote import Endpoint

    return Endpoint(host.address, host.token)


def list_runs(host: Host, limit: int, as_json: bool) -> None:
    """`seamline runs --host`."""
    from dataclasses import asdict

    found = connect(host).runs(limit or 200)
    if as_json:
        click.echo(json.dumps([asdict(run) for run in found], indent=2))
        return
    for run in found:
        click.echo(f"{run.run_id}  {run.state:<10}  {run.created_at}  {run.name}")


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
        click.echo(json.dumps([asdict(row) for row in derived.rows], indent=2))
        return
    for row in derived.rows:
        click.echo(f"{row.action:<6} {row.label}: {row.reason}", err=not plan_only)
    if not plan_only:
        name = f"{endpoint.run(run_id).name} again: {task}"
        follow(endpoint, endpoint.submit(derived.text, {}, name), as_json)


def follow(endpoint: "Endpoint", run_id: str, as_json: bool) -> None:
    """Waits for a run's end and exits with 1 if it did not succeed; Ctrl-C ends the waiting, not the run."""
    try:
        for run in endpoint.wait(run_id):
            click.echo(f"run {run.run_id[:8]} {run.state}", err=True)
    except KeyboardInterrupt:
        click.echo(f"the run goes on at {endpoint.host}", err=True)
        sys.exit(130)
    _say(endpoint, run, as_json)
    if run.state != "SUCCEEDED":
        sys.exit(1)


def _say(endpoint: "Endpoint", run: "RemoteRun", as_json: bool) -> None:
    from dataclasses import asdict

    address = f"{endpoint.host}/#/runs/details/{run.run_id}"
    if as_json:
        click.echo(json.dumps({**asdict(run), "address": address}, indent=2))
        return
    click.echo(f"run {run.run_id} {run.state} {run.problem}".rstrip() + f"\n{address}")


def refuse_local_paths(host: Host, given: Mapping[str, Any]) -> None:
    """Paths of this machine mean nothing on another one."""
    if urlsplit(host.address).hostname in LOOPBACK:
        return
    paths = [given["data_root"], *(r["uri"] for r in given["rounds"])]
    here = [path for path in paths if "://" not in path]
    if here:
        raise PipelineError(
            f"{here[0]} is a path of this machine, which {host.address} cannot read; "
            "give --data gs://BUCKET/ROUNDS and --set data_root=gs://BUCKET/FOLDER"
        )

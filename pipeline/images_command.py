"""`seamline images`: the container images of this checkout."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from pipeline.errors import PipelineError
from pipeline.options import json_option
from pipeline.output import print_json

_WORK_S = 600.0
"""Without a word of a build or a push."""
_TARGETS = ("steps-cpu", "steps-gpu", "server")
_targets = click.argument("targets", nargs=-1, type=click.Choice(_TARGETS), metavar="[steps-cpu|steps-gpu|server]...")
_base = click.option(
    "--base",
    envvar="SEAMLINE_BASE_IMAGE",
    default="python:3.11-slim",
    show_default=True,
    metavar="IMAGE",
    help="Image to build on; with @sha256:... the same one for ever.",
)


@click.group("images")
def images_group() -> None:
    """Build, push and list the container images of this checkout; SEAMLINE_REGISTRY is where their names begin."""


@images_group.command()
@_targets
@_base
@json_option
def build(targets: tuple[str, ...], base: str, as_json: bool) -> None:
    """Build images (by default steps-cpu and server) unless their very content is there already."""
    from pipeline import images

    _each(targets or ("steps-cpu", "server"), as_json, lambda engine, target: images.build(engine, target, base, _say))


@images_group.command()
@_targets
@_base
@json_option
def push(targets: tuple[str, ...], base: str, as_json: bool) -> None:
    """Push images that were built from what this checkout has now, and print their digests."""
    from pipeline import images

    _each(targets or ("steps-cpu", "server"), as_json, lambda engine, target: images.push(engine, target, base, _say))


@images_group.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the images that the Docker Engine has, those of the newest code first."""
    from pipeline import images

    _print(images.listed(connected()), as_json)


def pinned_for_cluster(text: str) -> str:
    """IR text with the digests of images that were pushed.

    Raises:
        PipelineError: see `image_pins.for_cluster`.
    """
    from pipeline import image_pins

    return image_pins.for_cluster(text, connected())


def pinned_here(text: str) -> str:
    """IR text with images that do not move, for the Docker Engine of this machine; says which are of other code.

    Raises:
        PipelineError: see `image_pins.for_this_machine`.
    """
    from pipeline import image_pins

    fixed, strange = image_pins.for_this_machine(text, connected())
    for image in strange:
        click.echo(f"{image} is of other code than this checkout; `seamline images build` makes it anew", err=True)
    return fixed


def connected(timeout_s: float = 20.0) -> Any:
    """A client of the Docker Engine, which waits so long for an answer.

    Raises:
        PipelineError: none answers.
    """
    from pipeline.engine.docker_launch import connect

    try:
        return connect(timeout_s)
    except OSError as error:
        raise PipelineError(f"{error}; start it, or name another one by DOCKER_HOST") from error


def _each(targets: tuple[str, ...], as_json: bool, act: Callable[[Any, str], Any]) -> None:
    from docker.errors import DockerException

    from pipeline.images import ImageFailed

    engine = connected(_WORK_S)
    try:
        _print([act(engine, target) for target in targets], as_json)
    except (DockerException, OSError) as error:
        raise ImageFailed(f"the Docker Engine cannot do it: {' '.join(str(error).split())}") from error


def _print(found: list[Any], as_json: bool) -> None:
    if as_json:
        print_json([asdict(image) for image in found])
        return
    for image in found:
        state = "" if image.is_current else "  of other code than this checkout"
        name = image.digest or ", ".join(image.tags) or "no name"
        click.echo(f"{image.target:9}  {image.bytes / 1e9:4.1f} GB  {image.created:25}  {name}{state}")


def _say(line: str) -> None:
    click.echo(line, err=True)

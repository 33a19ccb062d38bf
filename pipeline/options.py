"""Options that several commands share."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from pipeline.errors import PipelineError

F = TypeVar("F", bound=Callable[..., Any])

state_option = click.option(
    "--state",
    "state_dir",
    envvar="SEAMLINE_STATE",
    default=".seamline",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of runs, cache and data.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting; repeatable."
)


@dataclass(frozen=True)
class Host:
    """A KFP v2beta1 endpoint and its token, empty where it needs none."""

    address: str
    token: str = ""


def endpoint_options(required: bool = False) -> Callable[[F], F]:
    """`--host` and `--token-file`, as the argument `host`: a Host, or None when no host is given."""

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def with_host(*args: Any, host: str | None, token_file: Path | None, **options: Any) -> Any:
            return command(*args, host=Host(host, read_token(token_file)) if host else None, **options)

        file = click.option("--token-file", type=click.Path(path_type=Path), help="File with the endpoint's token.")
        address = click.option(
            "--host",
            envvar="KF_PIPELINES_ENDPOINT" if required else None,
            required=required,
            metavar="URL",
            help="A KFP v2beta1 endpoint instead of this machine.",
        )
        return cast(F, address(file(with_host)))

    return decorate


def read_token(file: Path | None) -> str:
    """The token in a file; empty without one."""
    try:
        return file.read_text(encoding="utf-8").strip() if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"--token-file {file} cannot be read: {error}") from error

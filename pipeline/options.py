"""Options that several commands share."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from pipeline.errors import PipelineError

F = TypeVar("F", bound=Callable[..., Any])


class AtLeast(click.FloatRange):
    """A number from `min` on. click lets nan and inf through, with which nobody can count."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click.ParamType."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is not finite; give a number.", param, ctx)
        return found


state_option = click.option(
    "--state",
    "state_dir",
    envvar="SEAMLINE_STATE",
    default=".seamline",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of runs, cache and data.",
)
LAUNCHERS = ("process", "docker", "kubernetes")
launcher_option = click.option(
    "--launcher",
    type=click.Choice(LAUNCHERS),
    envvar="SEAMLINE_LAUNCHER",
    default="process",
    show_default=True,
    help="Where steps run.",
)
strict_option = click.option(
    "--strict-kfp", "strict", is_flag=True, help="Refuse what Kubeflow Pipelines 2.17 could not run, and say why."
)
no_cache_option = click.option("--no-cache", is_flag=True, help="Run every task, also where its result is known.")
pin_images_option = click.option(
    "--pin-images", is_flag=True, help="Images by the digests that `seamline images push` gave them: no tag can move."
)
shared_paths_option = click.option(
    "--shared-paths", is_flag=True, help="The endpoint sees this machine's folders under the same names: send paths."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting; repeatable."
)
more_gpu_hours_option = click.option(
    "--gpu-hours",
    type=AtLeast(min=0),
    metavar="N",
    help="GPU hours that the run may have spent in all from now on; 0 for no limit.",
)
auth_option = click.option(
    "--auth",
    envvar="SEAMLINE_AUTH",
    default="",
    metavar="HOW",
    help="Login there: token:FILE, iap:CLIENT_ID, dex:FILE, cookie:FILE, serviceaccount or kfp.",
)
token_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="File with the endpoint's token; as --auth token:FILE, or beside --auth iap:CLIENT_ID.",
)
namespace_option = click.option(
    "--namespace", default="", help="Namespace of a Kubeflow for several users; by default the login's."
)


@dataclass(frozen=True)
class Host:
    """A KFP v2beta1 endpoint.

    Attributes:
        address: its address.
        auth: who we are there, as `--auth` takes it; empty for nobody.
        namespace: of a Kubeflow for several users; empty for the login's own.
        token: file with a token, as `--token-file` takes it; None for none.
    """

    address: str
    auth: str = ""
    namespace: str = ""
    token: Path | None = None


def gpu_hours_option(command: F) -> F:
    """`--gpu-hours N`, as one more of the argument `overrides`: short for `--set placement.gpu_hours=N`."""

    @functools.wraps(command)
    def with_budget(*args: Any, gpu_hours: float | None, overrides: tuple[str, ...], **options: Any) -> Any:
        budget = () if gpu_hours is None else (f"placement.gpu_hours={gpu_hours:g}",)
        return command(*args, overrides=(*overrides, *budget), **options)

    help = "Budget in GPU hours: stops the run here, bounds every attempt of a task on a cluster; 0 for none."
    return cast(F, click.option("--gpu-hours", type=AtLeast(min=0), metavar="N", help=help)(with_budget))


def endpoint_options(required: bool = False) -> Callable[[F], F]:
    """`--host` and how to log in there, as the argument `host`: a Host, or None when no host is given."""

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def with_host(
            *args: Any, host: str | None, auth: str, token_file: Path | None, namespace: str, **options: Any
        ) -> Any:
            how = _beside_token(auth) if token_file else auth
            known = Host(host, how, namespace, token_file) if host is not None else None
            return command(*args, host=known, **options)

        address = click.option(
            "--host",
            envvar="KF_PIPELINES_ENDPOINT" if required else None,
            required=required,
            metavar="URL",
            help="A KFP v2beta1 endpoint instead of this machine.",
        )
        return cast(F, address(auth_option(token_option(namespace_option(with_host)))))

    return decorate


def _beside_token(auth: str) -> str:
    """`--auth` beside a `--token-file`, which wins over a login from the environment other than IAP's."""
    source = click.get_current_context().get_parameter_source("auth")
    return "" if source is ParameterSource.ENVIRONMENT and not auth.startswith("iap:") else auth


def kfp_options(command: F) -> F:
    """`--kfp` and how to log in there, as the argument `kfp`: a Host, or None."""

    @functools.wraps(command)
    def with_kfp(
        *args: Any, kfp: str, kfp_token_file: Path | None, kfp_auth: str, kfp_namespace: str, **options: Any
    ) -> Any:
        return command(*args, kfp=Host(kfp, kfp_auth, kfp_namespace, kfp_token_file) if kfp else None, **options)

    address = click.option(
        "--kfp", default="", metavar="URL", help="A KFP endpoint that the console shows beside this machine."
    )
    file = click.option("--kfp-token-file", type=click.Path(path_type=Path), help="File with that endpoint's token.")
    auth = click.option("--kfp-auth", default="", metavar="HOW", help="Login there, as --auth of submit takes it.")
    namespace = click.option("--kfp-namespace", default="", help="Namespace there, as --namespace of submit takes it.")
    return cast(F, address(file(auth(namespace(with_kfp)))))


def read_token(file: Path | None) -> str:
    """The token in a file; empty without one."""
    try:
        return file.read_text(encoding="utf-8").strip() if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"--token-file {file} cannot be read: {getattr(error, 'strerror', error)}") from error

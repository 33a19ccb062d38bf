"""`seamline serve`: the console and KFP's API on this machine."""

import re
from pathlib import Path

import click

from pipeline.errors import PipelineError
from pipeline.options import Host, kfp_options, launcher_option, read_token, state_option, strict_option

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHORTEST_TOKEN = 16
_PUBLIC_URL = re.compile(r"https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; any other needs a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the token that everybody must give.")
@click.option(
    "--public-url",
    envvar="SEAMLINE_PUBLIC_URL",
    default="",
    metavar="URL",
    help="Address at which people open the console, for links in notifications; by default the one it listens at.",
)
@kfp_options
@state_option
@launcher_option
@strict_option
def serve(
    host: str,
    port: int,
    token_file: Path | None,
    public_url: str,
    kfp: Host | None,
    state_dir: Path,
    launcher: str,
    strict: bool,
) -> None:
    """Serve the console and KFP's API, and execute runs."""
    from pipeline import remote_command, serving

    endpoint = remote_command.connect(kfp) if kfp else None
    token = _token(token_file)
    if not token and host not in LOOPBACK:
        raise PipelineError(f"--host {host} lets other machines in, which needs a token; give --token-file FILE")
    address = serving.Address(host, port, token, _public(public_url))
    if address.public_url:
        click.echo(f"links    {address.public_url}", err=True)
    if address.name != host:
        click.echo(f"listens  at all addresses of this machine ({host})", err=True)
    serving.serve(state_dir, address, _say, endpoint, launcher, strict)


def _say(address: str) -> None:
    click.echo(f"console  {address}", err=True)
    click.echo(f"kfp      export KF_PIPELINES_ENDPOINT={address}", err=True)
    click.echo("Ctrl-C ends the server; tasks that run go on, and the next `seamline serve` takes them up", err=True)


def _public(url: str) -> str:
    """Scheme, host and port of an address: the console stands at the root of its host."""
    if url and not _PUBLIC_URL.fullmatch(url):
        raise PipelineError(
            f"--public-url {url} is no address of a console; expected http://HOST[:PORT] or https://HOST[:PORT], "
            "without a path, a user or anything else"
        )
    return url.rstrip("/")


def _token(file: Path | None) -> str:
    if file is None:
        return ""
    token = read_token(file)
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or set(token) & set(' ;,"\\'):
        raise PipelineError(
            f"--token-file {file} holds no usable token; expected {SHORTEST_TOKEN} or more letters and digits on one "
            "line, for instance from `openssl rand -hex 24`"
        )
    return token

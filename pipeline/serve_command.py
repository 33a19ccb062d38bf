"""`seamline serve`: the console and KFP's API on this machine."""

from pathlib import Path

import click

from pipeline.errors import PipelineError
from pipeline.options import read_token, state_option

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHORTEST_TOKEN = 16


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; any other needs a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the token that everybody must give.")
@click.option("--kfp", default="", metavar="URL", help="A KFP endpoint that the console shows beside this machine.")
@click.option("--kfp-token-file", type=click.Path(path_type=Path), help="File with that endpoint's token.")
@state_option
def serve(
    host: str, port: int, token_file: Path | None, kfp: str, kfp_token_file: Path | None, state_dir: Path
) -> None:
    """Serve the console and KFP's API, and execute runs."""
    from pipeline import remote, serving

    endpoint = remote.Endpoint(kfp, read_token(kfp_token_file)) if kfp else None
    token = _token(token_file)
    if not token and host not in LOOPBACK:
        raise PipelineError(f"--host {host} lets other machines in, which needs a token; give --token-file FILE")
    serving.serve(state_dir, serving.Address(host, port, token), _say, endpoint)


def _say(address: str) -> None:
    click.echo(f"console  {address}", err=True)
    click.echo(f"kfp      export KF_PIPELINES_ENDPOINT={address}", err=True)
    click.echo("Ctrl-C ends the server; tasks that run go on, and the next `seamline serve` takes them up", err=True)


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

"""Results of a command, on stdout."""

import json
import sys
from typing import Any

import click
from rich.console import Console


def stdout() -> Console:
    """A console that does not cut tables where the output is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=200, soft_wrap=True)


def print_json(value: Any) -> None:
    """A result for machines: indented JSON, texts as they are, what JSON does not know as text."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))

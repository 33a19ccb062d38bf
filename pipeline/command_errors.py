"""How a command ends that cannot do what it was asked: one line on stderr, no traceback, and the right exit code."""

import io
import signal
import sqlite3
import sys
from typing import Any

import click

from components.errors import StepError
from pipeline.errors import PipelineError


def _open_closed_streams() -> None:
    """Whoever closed stdout or stderr (`>&-`) wants to hear nothing; Python leaves None in its place."""
    if sys.stdout is None:
        sys.stdout = io.StringIO()
    if sys.stderr is None:
        sys.stderr = io.StringIO()


class OneLineErrors(click.Group):
    """Ends with one line instead of a traceback for everything that the user can mend."""

    def invoke(self, ctx: click.Context) -> Any:
        _open_closed_streams()
        try:
            return super().invoke(ctx)
        except (PipelineError, StepError) as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(getattr(error, "exit_code", 2))
        except KeyboardInterrupt:
            click.echo("interrupted by Ctrl-C; `seamline runs` shows the runs that were made", err=True)
            ctx.exit(128 + signal.SIGINT)
        except BrokenPipeError:
            sys.stderr.close()  # the reader of a pipe, for instance `head`, has seen enough
            ctx.exit(0)
        except OSError as error:  # above all a full or a read-only disk
            click.echo(f"error: {error.filename or 'this machine'}: {error.strerror or error}", err=True)
            ctx.exit(1)
        except sqlite3.Error as error:  # the disk under the state folder
            click.echo(
                f"error: the state cannot be read or written: {error}; mend that, and `seamline retry` goes on",
                err=True,
            )
            ctx.exit(1)

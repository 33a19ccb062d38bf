"""What Seamline refuses, each kind with the exit code its command ends with."""


class PipelineError(Exception):
    """Anything the user can mend. The message says what was given, what was expected and how to fix it."""

    exit_code = 2


class RecipeError(PipelineError):
    """A recipe, or a `--set`, that cannot be used."""


class NotFound(PipelineError):
    """A run, task or file that does not exist."""


class Conflict(PipelineError):
    """A request that the present state does not allow, for instance retrying a running run."""


class StateError(PipelineError):
    """A state folder that cannot be used: made by a newer version, read-only, or served by another process."""

"""What a step refuses, and why: each message says what was given, what was expected and how to mend it."""


class StepError(Exception):
    """A step cannot do its work for a reason its user can mend. Ends as one line and exit code 2."""


class SettingsError(StepError):
    """A knob or an input has a wrong name, type or value."""


class DataError(StepError):
    """The data as a whole cannot be used. A single bad row is no error: it goes to `rejected.parquet`."""

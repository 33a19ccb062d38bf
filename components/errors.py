"""What a step refuses, and why: each message says what was given, what was expected and how to mend it."""


class StepError(Exception):
    """A step cannot do its work for a reason its user can mend. Ends as one line and its exit code."""

    exit_code = 2


class SettingsError(StepError):
    """A knob or an input has a wrong name, type or value."""


class DataError(StepError):
    """The data as a whole cannot be used. A single bad row is no error: it goes to `rejected.parquet`."""


class Damaged(DataError):
    """A file is there and is not what it should be."""


class Missing(DataError):
    """A file or object is not there. The rest of the data may still be good."""


class Conflict(StepError):
    """Somebody else has written the same object meanwhile; what was to be written is not."""


class GpuUnused(StepError):
    """A GPU was given to the step, and what should compute on it cannot."""


class Unreachable(StepError):
    """A service did not answer, or not rightly, in time. What was given may be right (EX_TEMPFAIL of sysexits.h)."""

    exit_code = 75

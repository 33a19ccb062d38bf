"""What `seamline doctor` says of one thing that it has looked at."""

from dataclasses import dataclass

OK, MISSING, OPTIONAL = "ok", "missing", "optional"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        state: `ok`, `missing` (something cannot run) or `optional` (only some uses cannot).
        detail: what was found.
        fix: the command that mends it; empty where there is nothing to mend.
    """

    name: str
    state: str
    detail: str
    fix: str = ""

"""Whether an error is the machine's, which passes and is nobody's fault, or the task's own."""

import errno
import sqlite3

_PASSING = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.ESTALE,
    }
)
_PRIMARY = 0xFF  # the lowest byte of SQLite's extended codes


def is_of_machine(error: OSError) -> bool:
    """The disk is full, read-only or broken, or the machine is out of memory, processes or open files."""
    return error.errno in _PASSING


def is_busy(error: sqlite3.Error) -> bool:
    """Somebody else writes the database, for longer than SQLite waits."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

"""Everything that is remembered: runs, tasks, attempts, metrics and an append-only journal, in one SQLite file (WAL).

Contract. Every write is one transaction that changes rows and journals what it did, so after a crash the rows and the
journal agree. A task's row says SUCCEEDED only after its outputs lie where the row says. Only the process that holds
the lock (`exclusive`) moves tasks; anybody may request a stop. A newer state folder is refused.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from pipeline.engine import schema
from pipeline.engine.database import Database, Listener, connect
from pipeline.engine.lock import StateLock
from pipeline.engine.records import Event
from pipeline.engine.writer import Writer
from pipeline.errors import StateError

FILE = "seamline.db"


class Store(Writer):
    """A state folder that may be written. Open one per thread."""

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        super().__init__(directory, connection)
        self._lock = StateLock(directory)

    @staticmethod
    def open(directory: Path | str, read_only: bool = False) -> "Store":
        """Opens a state folder, and makes it when it may be written.

        Raises:
            StateError: missing and read-only, made by a newer version, or not writable.
        """
        directory = Path(directory).absolute()
        path = directory / FILE
        if read_only and not path.exists():
            raise _no_state(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            store = Store(directory, connect(path, read_only))
            store._migrate(read_only)
        except FileExistsError as error:
            raise StateError(f"{directory} is a file; give a folder with --state") from error
        except (OSError, sqlite3.Error) as error:
            why = getattr(error, "strerror", None) or error
            raise StateError(
                f"state folder {directory} cannot be used: {why}; give another one with --state"
            ) from error
        return store

    @property
    def database(self) -> Database:
        """For the other modules of this package that keep tables in the same file."""
        return self._database

    def close(self) -> None:
        """Closes the database. The lock, if held, goes with the object's owner."""
        self._db.close()

    @contextlib.contextmanager
    def exclusive(self, serving: bool = False) -> Iterator[None]:
        """Holds the folder's lock, so that no other process moves its tasks.

        Args:
            serving: whoever makes a run meanwhile may count on its being executed.

        Raises:
            StateError: another process holds it.
        """
        self._lock.acquire(serving)
        try:
            yield
        finally:
            self._lock.release()

    def _migrate(self, read_only: bool) -> None:
        version, newest = schema.version(self._db), schema.newest()
        if version > newest:
            raise StateError(
                f"state folder {self.directory} has version {version}; this Seamline reads up to {newest}. "
                "Update Seamline, or give another folder with --state"
            )
        if version == 0 and read_only:  # whoever makes it has not come so far
            raise _no_state(self.directory)
        if read_only:
            self._update_for_readers(version, newest)
            return
        schema.migrate(self._db)

    def _update_for_readers(self, version: int, newest: int) -> None:
        """An older folder is brought up to date also by who only looks, if it can be written."""
        if version == newest:
            return
        try:
            Store.open(self.directory).close()
        except StateError as error:
            raise StateError(
                f"{self.directory} was made by an older Seamline and cannot be brought up to date: {error}"
            ) from error

    def announce(self, event: Event) -> None:
        """Tells the listener something that is not journalled."""
        self._database.announce(event)

    def listen(self, listener: Listener | None) -> None:
        """Sets who hears of every event after its commit, in the writing thread."""
        self._database.listener = listener


def _no_state(directory: Path) -> StateError:
    return StateError(f"there is no state in {directory}; `seamline run` makes one, --state names another folder")

"""SQLite: one connection, transactions that rows and journal share, rows from dicts. Knows no table but the journal."""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.engine import trouble
from pipeline.engine.records import Event

Listener = Callable[[Event], None]
_BUSY_S, _TRY_S = 30.0, 0.01


class Database:
    """A connection that is written in whole transactions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.listener: Listener | None = None

    @contextlib.contextmanager
    def writing(self) -> Iterator["Journal"]:
        """One transaction: all of it is committed, or nothing. The listener hears of its events after the commit."""
        journal = Journal(self._connection)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield journal
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a commit that a full disk refuses may have ended it
                self._connection.execute("ROLLBACK")
            raise
        for event in journal.events:
            self.announce(event)

    def announce(self, event: Event) -> None:
        """Tells the listener."""
        if self.listener:
            self.listener(event)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """What a query finds."""
        return self._connection.execute(sql, values).fetchall()

    def insert(self, table: str, values: Mapping[str, Any]) -> None:
        """Adds a row."""
        marks = ", ".join("?" * len(values))
        self._connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))

    def update(self, table: str, values: Mapping[str, Any], where: Mapping[str, Any]) -> None:
        """Changes the rows that have all values of `where`."""
        assignments = ", ".join(f"{name} = ?" for name in values)
        condition = " AND ".join(f"{name} = ?" for name in where)
        self._connection.execute(
            f"UPDATE {table} SET {assignments} WHERE {condition}", (*values.values(), *where.values())
        )


class Journal:
    """Appends events inside a transaction and keeps them for the listener, who hears of them after the commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.events: list[Event] = []

    def __call__(self, now: float, run_id: str, key: str, kind: str, detail: Mapping[str, Any]) -> None:
        sql = "INSERT INTO journal (time, run_id, key, kind, detail_json) VALUES (?, ?, ?, ?, ?)"
        cursor = self._db.execute(sql, (now, run_id, key, kind, to_json(detail)))
        self.events.append(Event(cursor.lastrowid or 0, now, run_id, key, kind, detail))


def connect(path: Path, read_only: bool) -> sqlite3.Connection:
    """Opens a file: WAL, so that readers and the one writer never wait for each other."""
    mode = "ro" if read_only else "rwc"
    if read_only and not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        mode = "ro&immutable=1"  # a reader of WAL makes files beside it, which a read-only disk does not let it
    address = f"{path.as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None)
    if not read_only:
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")  # a committed task must survive a power cut
        connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Of several that turn a new file to WAL at once SQLite refuses some without waiting, lest they wait for each other
    (https://www.sqlite.org/c3ref/busy_handler.html), so the waiting is done here.
    """
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not trouble.is_busy(error) or time.monotonic() > until:
                raise
        time.sleep(_TRY_S)


def to_json(value: Any) -> str:
    """The text of a JSON column."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)

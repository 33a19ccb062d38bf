"""The tables of a state folder, as numbered SQL files that are applied in order; a folder's version is the last one's.

A folder of an older version is brought up to date when it is opened for writing. Files are only ever added.
"""

import sqlite3
from collections.abc import Iterator
from functools import cache
from importlib import resources


@cache
def scripts() -> dict[int, str]:
    """Version -> SQL that leads to it from the version before."""
    folder = resources.files("pipeline.engine").joinpath("schema")
    files = sorted(f.name for f in folder.iterdir() if f.name.endswith(".sql"))
    numbers = [int(name[:4]) for name in files]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"two files of the schema have one number, so one of them would be left out: {files}")
    return {int(name[:4]): folder.joinpath(name).read_text(encoding="utf-8") for name in files}


def newest() -> int:
    """The version that this Seamline writes."""
    return max(scripts())


def version(connection: sqlite3.Connection) -> int:
    """The version of a database, 0 when it is empty."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Brings a database up to date in one transaction; a second process that tries the same finds it done."""
    if version(connection) == newest():
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number, sql in scripts().items():
            if number > version(connection):
                for statement in _statements(sql):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(sql: str) -> Iterator[str]:
    """Whole statements; a trigger's body has semicolons of its own, so splitting at them will not do."""
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""

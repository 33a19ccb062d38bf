"""Lists in pieces: conditions, order and pages over one table, so that a page never repeats or loses what is there.

A page ends at a place (the value that the list is sorted by, and the row's number), not at a count: rows that are added
or removed meanwhile move nothing.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from pipeline.engine.database import Database

Scalar = str | int | float
Place = tuple[Scalar, int]
T = TypeVar("T")


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"  # compared by whole seconds, as it is shown


class Operation(StrEnum):
    """What a condition asks; the names are KFP's."""

    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT_EQUALS"
    GREATER_THAN = "GREATER_THAN"
    GREATER_THAN_EQUALS = "GREATER_THAN_EQUALS"
    LESS_THAN = "LESS_THAN"
    LESS_THAN_EQUALS = "LESS_THAN_EQUALS"
    IN = "IN"
    IS_SUBSTRING = "IS_SUBSTRING"


_SIGNS: Mapping[Operation, str] = {
    Operation.EQUALS: "=",
    Operation.NOT_EQUALS: "<>",
    Operation.GREATER_THAN: ">",
    Operation.GREATER_THAN_EQUALS: ">=",
    Operation.LESS_THAN: "<",
    Operation.LESS_THAN_EQUALS: "<=",
}
_COMPARISONS: Mapping[Operation, Callable[[Any, Any], bool]] = {
    Operation.EQUALS: operator.eq,
    Operation.NOT_EQUALS: operator.ne,
    Operation.GREATER_THAN: operator.gt,
    Operation.GREATER_THAN_EQUALS: operator.ge,
    Operation.LESS_THAN: operator.lt,
    Operation.LESS_THAN_EQUALS: operator.le,
}


@dataclass(frozen=True)
class Column:
    """A column that lists know: an SQL expression of this package's own, never of a request."""

    sql: str
    kind: Kind = Kind.TEXT

    @property
    def compared(self) -> str:
        """What conditions compare."""
        return f"CAST({self.sql} AS INTEGER)" if self.kind is Kind.TIME else self.sql


@dataclass(frozen=True)
class Condition:
    """What a listed row must fulfil. `values`: one, or several for IN."""

    column: Column
    operation: Operation
    values: tuple[Scalar, ...]

    def sql(self) -> str:
        """With a `?` for each value."""
        if self.operation is Operation.IN:
            return f"{self.column.compared} IN ({', '.join('?' * len(self.values))})"
        if self.operation is Operation.IS_SUBSTRING:
            return f"instr(lower({self.column.compared}), lower(?)) > 0"
        return f"{self.column.compared} {_SIGNS[self.operation]} ?"

    def holds(self, value: Any) -> bool:
        """Whether it holds for a value of the column, as `sql` would judge."""
        seen = int(value) if self.column.kind is Kind.TIME else value
        if self.operation is Operation.IN:
            return seen in self.values
        if self.operation is Operation.IS_SUBSTRING:
            return _lower(self.values[0]) in _lower(seen)
        return _COMPARISONS[self.operation](seen, self.values[0])


@dataclass(frozen=True)
class Query:
    """Which part of a list is wanted.

    Attributes:
        order: what it is sorted by.
        conditions: all of them must hold.
        descending: the largest first.
        after: where the page before ended.
        limit: most rows.
    """

    order: Column
    conditions: Sequence[Condition] = ()
    descending: bool = False
    after: Place | None = None
    limit: int = 20


@dataclass(frozen=True)
class Page:
    """One piece of a list. `end`: where it ends, None on the last page; `total`: rows of the whole list."""

    rows: Sequence[Any]
    end: Place | None
    total: int


def page(database: Database, source: str, number: str, query: Query) -> Page:
    """One page of a list.

    Args:
        database: where to look.
        source: what follows FROM.
        number: column that tells rows apart and grows with time.
        query: what is wanted.
    """
    wanted = " AND ".join(c.sql() for c in query.conditions) or "1"
    values = [value for c in query.conditions for value in c.values]
    total = database.rows(f"SELECT COUNT(*) AS total FROM {source} WHERE {wanted}", values)[0]["total"]
    order, sign = query.order.sql, "<" if query.descending else ">"
    if query.after is not None:
        wanted += f" AND ({order}, {number}) {sign} (?, ?)"
        values += query.after
    way = "DESC" if query.descending else "ASC"
    columns = f"SELECT *, {order} AS list_order, {number} AS list_number FROM {source}"
    sql = f"{columns} WHERE {wanted} ORDER BY {order} {way}, {number} {way} LIMIT ?"
    rows = database.rows(sql, (*values, query.limit + 1))
    shown = rows[: query.limit]
    end = (shown[-1]["list_order"], int(shown[-1]["list_number"])) if len(rows) > len(shown) else None
    return Page(shown, end, int(total))


def page_in_memory(items: Iterable[T], values: Callable[[T], Mapping[str, Any]], number: str, query: Query) -> Page:
    """One page of a short list that is all there, by the same rules.

    Args:
        items: all of them.
        values: of an item, by the `sql` of the list's columns and by `number`.
        number: whole number that tells items apart and grows with time.
        query: what is wanted.
    """
    wanted = [item for item in items if all(c.holds(values(item)[c.column.sql]) for c in query.conditions)]

    def place(item: T) -> Place:
        return values(item)[query.order.sql], values(item)[number]

    ordered = sorted(wanted, key=place, reverse=query.descending)
    if query.after is not None:
        passed = operator.lt if query.descending else operator.gt
        ordered = [item for item in ordered if passed(place(item), query.after)]
    shown = ordered[: query.limit]
    return Page(shown, place(shown[-1]) if len(ordered) > len(shown) else None, len(wanted))


def _lower(value: Any) -> str:
    """As SQLite's `lower`: only the letters of ASCII."""
    return "".join(c.lower() if c.isascii() else c for c in str(value))

"""KFP's filters: JSON text of a query -> conditions of a list.

`{"predicates": [{"operation": 1, "key": "display_name", "stringValue": "x"}]}`: operations by number (`kfp.Client`) or
by name (`PipelinesClient`), keys and values in snake or camel case.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.engine.listing import Column, Condition, Kind, Operation, Scalar
from pipeline.errors import PipelineError
from pipeline.server.api import fields
from pipeline.server.api.fields import Fields

MOST_PREDICATES = 20
MOST_VALUES = 200
_NUMBERS: Mapping[str | int, str] = {
    1: Operation.EQUALS,
    2: Operation.NOT_EQUALS,
    3: Operation.GREATER_THAN,
    5: Operation.GREATER_THAN_EQUALS,
    6: Operation.LESS_THAN,
    7: Operation.LESS_THAN_EQUALS,
    8: Operation.IN,
    9: Operation.IS_SUBSTRING,
}
OPERATIONS: Mapping[str | int, str] = {
    **_NUMBERS,
    **{str(number): name for number, name in _NUMBERS.items()},
    **{operation.value: operation for operation in Operation},
}
_SINGLE = ("string_value", "int_value", "long_value", "timestamp_value")
_SEVERAL = ("string_values", "int_values", "long_values")
_ALIASES = {"id": "id", "name": "display_name", "status": "state"}


def read(text: str, columns: Mapping[str, Column]) -> tuple[Condition, ...]:
    """The conditions of a filter; none for an empty one.

    Raises:
        PipelineError: not such a filter, or a key that the list does not have.
    """
    if not text:
        return ()
    body = Fields(fields.read(text, "filter"), "filter")
    predicates = body.get("predicates")
    if predicates is None:
        predicates = []
    if not isinstance(predicates, list) or len(predicates) > MOST_PREDICATES:
        raise PipelineError(f"predicates of filter must be a list of at most {MOST_PREDICATES} objects")
    return tuple(_condition(Fields(one, "a predicate"), columns) for one in predicates)


def column_named(key: str, columns: Mapping[str, Column]) -> Column:
    """The column of a key: `created_at`, `createdAt`, and `name` where the list has no names of its own.

    Raises:
        PipelineError: there is none; the message lists those that there are.
    """
    by_camel = {fields.camel(name): name for name in columns}
    found = key if key in columns else by_camel.get(key, _ALIASES.get(key, ""))
    if found == "id":
        found = next(iter(columns))  # every list names its id first
    if found not in columns:
        raise PipelineError(f"there is no key {key[:60]!r} to filter or sort by; known are {', '.join(columns)}")
    return columns[found]


def _condition(predicate: Fields, columns: Mapping[str, Column]) -> Condition:
    operation = Operation(predicate.choice("operation", OPERATIONS) or Operation.EQUALS)
    column = column_named(predicate.text("key"), columns)
    if operation is Operation.IS_SUBSTRING and column.kind is not Kind.TEXT:
        raise PipelineError(f"IS_SUBSTRING looks into texts only, and {predicate.text('key')} is a {column.kind}")
    given = _listed(predicate) if operation is Operation.IN else [_one(predicate)]
    return Condition(column, operation, tuple(_typed(value, column) for value in given))


def _one(predicate: Fields) -> Any:
    given = [predicate.get(name) for name in _SINGLE if name in predicate]
    if len(given) != 1:
        raise PipelineError(f"a predicate needs exactly one of {', '.join(_SINGLE)}")
    return given[0]


def _listed(predicate: Fields) -> list[Any]:
    given = [predicate.within(name).get("values") for name in _SEVERAL if name in predicate]
    if len(given) != 1 or not isinstance(given[0], list) or not 0 < len(given[0]) <= MOST_VALUES:
        raise PipelineError(
            f'a predicate with IN needs one of {", ".join(_SEVERAL)} as {{"values": [...]}}, at most {MOST_VALUES}'
        )
    return given[0]


def _typed(value: Any, column: Column) -> Scalar:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise PipelineError(f"a filter's value must be a text or a number, not {type(value).__name__}")
    if column.kind is Kind.TEXT:
        return str(value)
    if isinstance(value, str):
        return _number(value) if column.kind is Kind.NUMBER else int(_instant(value))
    return int(value)


def _instant(text: str) -> float:
    return float(text) if text.isdecimal() and text.isascii() and len(text) < 18 else fields.seconds(text, "time")


def _number(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 18:
        raise PipelineError(f"{text[:40]!r} is no number")
    return int(text)

"""The text of a cron schedule, read as KFP's (robfig's) and checked field by field. Pure.

Five fields are minute, hour, day of month, month, day of week; six have the second first. A field is a list of `*`,
`?` (the same), numbers, names (JAN, MON), ranges `a-b` and steps `/n`. Descriptors: @yearly (@annually), @monthly,
@weekly, @daily (@midnight), @hourly. `CRON_TZ=zone` or `TZ=zone` in front names the time zone. When both day fields
are restricted, either one suffices.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pipeline.errors import PipelineError

_DESCRIPTORS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PIECE = re.compile(r"(?P<low>\*|\?|\w+)(?:-(?P<high>\w+))?(?:/(?P<step>\d+))?", re.ASCII)
_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Field:
    """One of the six.

    Attributes:
        title: what a message calls it.
        low, high: the numbers it may have.
        names: words for the numbers from `low` on.
    """

    title: str
    low: int
    high: int
    names: tuple[str, ...] = ()


FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, _MONTHS),
    Field("day of week", 0, 7, _WEEKDAYS),  # 0 and 7 are Sunday
)


@dataclass(frozen=True)
class Cron:
    """A cron schedule that has been read.

    Attributes:
        expression: six fields, without names, `?` and descriptors.
        time_zone: the one named in front, else empty.
        every_hour: its hour field leaves no hour out.
    """

    expression: str
    time_zone: str
    every_hour: bool


@lru_cache(maxsize=256)
def read(text: str) -> Cron:
    """Reads a cron schedule.

    Raises:
        PipelineError: it is none; the message names the field.
    """
    zone, body = _split_zone(text.strip())
    fields = _six_fields(text, body)
    plain = [_read_field(text, field, words) for field, words in zip(FIELDS, fields, strict=True)]
    _refuse_impossible_day(text, plain)
    return Cron(" ".join(plain), zone, len(numbers(plain[2], FIELDS[2])) == 24)


def _split_zone(text: str) -> tuple[str, str]:
    found = _ZONE.fullmatch(text)
    return (found[1], found[2]) if found else ("", text)


def _six_fields(text: str, body: str) -> Sequence[str]:
    if body.startswith("@every"):
        raise PipelineError(f"cron {text!r} is an interval; give it as an interval in seconds instead")
    if body.startswith("@") and body.lower() not in _DESCRIPTORS:
        raise PipelineError(f"cron {text!r} is not known; expected one of {', '.join(_DESCRIPTORS)}")
    fields = _DESCRIPTORS.get(body.lower(), body).split()
    if len(fields) not in (5, 6):
        raise PipelineError(
            f"cron {text!r} has {len(fields)} fields; expected 5 (minute hour day month weekday) "
            "or 6 with the second first, for instance '30 2 * * MON'"
        )
    return fields if len(fields) == 6 else ["0", *fields]


def _read_field(text: str, field: Field, words: str) -> str:
    """A field in numbers only."""
    return ",".join(_read_piece(text, field, piece) for piece in words.split(","))


def _read_piece(text: str, field: Field, piece: str) -> str:
    found = _PIECE.fullmatch(piece)
    if not found or (found["low"] in "*?" and found["high"]):
        raise _bad(text, field, piece, "expected *, a number, a range a-b, or one of these with a step /n")
    step = found["step"]
    if step and not 1 <= int(step) <= field.high:
        raise _bad(text, field, piece, f"expected a step from 1 to {field.high}")
    stride = f"/{int(step)}" if step else ""
    if found["low"] in "*?":
        return "*" if stride == "/1" else "*" + stride
    low = _number(text, field, piece, found["low"])
    if found["high"] is None:
        return _from_on(low, field, stride) if step else str(low)
    high = _number(text, field, piece, found["high"])
    if high < low:
        raise _bad(text, field, piece, "the range ends before it begins; write it as two, separated by a comma")
    return f"{low}-{high}{stride}" if low < high else str(low)


def _from_on(low: int, field: Field, stride: str) -> str:
    """`5/15` goes on to the end of the field; `0/15` is what people know as `*/15`."""
    if low == field.low:
        return "*" if stride == "/1" else "*" + stride
    return f"{low}-{_last(field)}{stride}" if low < _last(field) else str(low)


def _number(text: str, field: Field, piece: str, word: str) -> int:
    if word.lower() in field.names:
        return field.names.index(word.lower()) + field.low
    if not word.isdecimal() or not field.low <= int(word) <= field.high:
        also = f" or {field.names[0].upper()} to {field.names[-1].upper()}" if field.names else ""
        raise _bad(text, field, piece, f"expected {field.low} to {_last(field)}{also}")
    return int(word)


def _last(field: Field) -> int:
    return 6 if field.names is _WEEKDAYS else field.high  # 7 is Sunday again, not the end of a week


def _bad(text: str, field: Field, piece: str, hint: str) -> PipelineError:
    return PipelineError(f"cron {text!r}: {piece!r} is no {field.title}; {hint}")


def _refuse_impossible_day(text: str, plain: Sequence[str]) -> None:
    _, _, _, day, month, weekday = plain
    if weekday == "*" and day != "*":
        longest = max(
            (29, 30, 31)[(number != 2) + (number in (1, 3, 5, 7, 8, 10, 12))] for number in numbers(month, FIELDS[4])
        )
        if min(numbers(day, FIELDS[3])) > longest:
            raise PipelineError(f"cron {text!r} never comes: none of its months has that day; change day or month")


def numbers(plain: str, field: Field) -> frozenset[int]:
    """The numbers that a field of `Cron.expression` stands for."""
    found: set[int] = set()
    for piece in plain.split(","):
        span, _, step = piece.partition("/")
        low, _, high = (f"{field.low}-{field.high}" if span == "*" else span).partition("-")
        found.update(range(int(low), int(high or low) + 1, int(step or 1)))
    return frozenset(found)

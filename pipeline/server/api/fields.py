"""JSON of a request, read field by field: what is not as expected is told in one line, with the field's name."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import PipelineError

MOST_DEPTH = 100
MOST_NAME = 256
MOST_TEXT = 16_384
_LARGEST = 2**63
_UNSENDABLE = re.compile(r"[\0\ud800-\udfff]")
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f]")


def read(text: str | bytes, what: str) -> Any:
    """JSON text -> a value that can be stored, shown and sent on.

    Args:
        text: from outside.
        what: it is, for the error.

    Raises:
        PipelineError: no JSON, or it holds NaN, infinity, a number beyond 64 bits, NUL, half a surrogate pair, or more
            than 100 levels.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise PipelineError(f"{what} is nested too deeply; at most {MOST_DEPTH} levels") from None
    except ValueError as error:  # also bytes that are no UTF-8, and integers of thousands of digits
        raise PipelineError(f"{what} is no JSON: {str(error)[:200]}") from None
    check(value, what)
    return value


def check(value: Any, what: str) -> None:
    """Refuses what JSON, SQLite or a command line cannot carry.

    Raises:
        PipelineError: as `read`, or a value that is not JSON at all.
    """
    level: list[Any] = [value]
    for _ in range(MOST_DEPTH):
        for one in level:
            _check_scalar(one, what)
        level = [inner for outer in level for inner in _members(outer)]
        if not level:
            return
    raise PipelineError(f"{what} is nested too deeply; at most {MOST_DEPTH} levels")


def _members(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _check_scalar(value: Any, what: str) -> None:
    if isinstance(value, str):
        if _UNSENDABLE.search(value):
            raise PipelineError(f"{what} holds a text with a NUL or half a character: {value[:60]!r}")
    elif isinstance(value, int):
        if not -_LARGEST <= value < _LARGEST:
            raise PipelineError(f"{what} holds a whole number beyond 64 bits; send it as text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise PipelineError(f"{what} holds {value}; numbers must be finite")
    elif value is not None and not isinstance(value, list | dict):
        raise PipelineError(f"{what} holds {value!r} ({type(value).__name__}), which is no JSON; put it in quotes")


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


class Fields:
    """An object of a request. Names are looked up as `snake_case` and as `camelCase`, as KFP's backend does.

    Args:
        value: what should be an object.
        what: it is, for errors.

    Raises:
        PipelineError: it is no object.
    """

    def __init__(self, value: Any, what: str = "the body") -> None:
        if not isinstance(value, Mapping):
            raise PipelineError(f"{what} is {_shown(value)}; expected a JSON object")
        self.values = value
        self._what = what

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def get(self, name: str) -> Any:
        """A field as it is, None when it is missing or null."""
        value = self.values.get(name)
        return self.values.get(camel(name)) if value is None else value

    def text(self, name: str, most: int = MOST_TEXT) -> str:
        """A text, empty when missing."""
        value = self.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._unexpected(name, "a text")
        if len(value) > most:
            raise PipelineError(f"{name} has {len(value)} characters; at most {most}")
        return value

    def name(self, name: str) -> str:
        """A text of one line that people can read, empty when missing."""
        return checked_name(self.text(name), name)

    def flag(self, name: str) -> bool:
        """True or false; false when missing."""
        value = self.get(name)
        if value in (None, True, False):
            return bool(value)
        raise self._unexpected(name, "true or false")

    def whole(self, name: str, default: int = 0) -> int:
        """A whole number; KFP's clients send some of them as text."""
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise self._unexpected(name, "a whole number")
        return int(value)

    def within(self, name: str) -> "Fields":
        """An object inside; an empty one when missing."""
        value = self.get(name)
        return Fields({} if value is None else value, name)

    def time(self, name: str) -> float:
        """A time in RFC 3339 as seconds since 1970; 0 when missing."""
        text = self.text(name)
        return seconds(text, name) if text else 0.0

    def tags(self, name: str) -> dict[str, str]:
        """Texts by name."""
        found = self.within(name).values
        if not all(isinstance(v, str) for v in found.values()):
            raise self._unexpected(name, "an object of texts")
        return dict(found)

    def choice(self, name: str, known: Mapping[Any, str]) -> str:
        """One of several words (or their numbers), empty when missing."""
        value = self.get(name)
        if value is None:
            return ""
        if not isinstance(value, str | int) or value not in known:
            words = dict.fromkeys(str(k) for k in known if isinstance(k, str) and not k.isdecimal())
            raise self._unexpected(name, f"one of {', '.join(words)}")
        return known[value]

    def _unexpected(self, name: str, expected: str) -> PipelineError:
        return PipelineError(f"{name} of {self._what} is {_shown(self.get(name))}; expected {expected}")


def camel(name: str) -> str:
    """`display_name` -> `displayName`."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def checked_name(text: str, what: str) -> str:
    """A name without spaces around it.

    Raises:
        PipelineError: longer than 256 characters, or with a line break or another control character.
    """
    text = text.strip()
    if len(text) > MOST_NAME or _CONTROL.search(text):
        raise PipelineError(f"{what} {text[:40]!r} cannot be used; give at most {MOST_NAME} characters on one line")
    return text


def seconds(text: str, what: str) -> float:
    """RFC 3339 -> seconds since 1970; without a time zone it is UTC.

    Raises:
        PipelineError: it is no time.
    """
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise PipelineError(f"{what} {text[:60]!r} is no time; expected one like 2026-01-31T23:59:59Z") from None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."

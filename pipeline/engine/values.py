"""Values that pass between tasks: KFP's parameter types, artifacts, and what is not known yet."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pipeline.errors import PipelineError

STRING, INTEGER, DOUBLE, BOOLEAN = "STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN"
LIST, STRUCT, FINAL_STATUS = "LIST", "STRUCT", "TASK_FINAL_STATUS"

# Go's strconv.ParseBool, which reads the output files of boolean parameters.
_GO_BOOLEANS = {text: True for text in ("1", "t", "T", "TRUE", "true", "True")}
_GO_BOOLEANS |= {text: False for text in ("0", "f", "F", "FALSE", "false", "False")}


class ValueProblem(PipelineError):
    """A value that a task cannot be given, or that it should not have produced."""


class Unknown:
    """The value of something that has not run yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Missing:
    """A value that will never come, and why."""

    reason: str


class Collected(tuple[Any, ...]):
    """The values of one parameter over a loop. An outer loop flattens it; a list that a task produced it does not."""

    __slots__ = ()


@dataclass(frozen=True)
class Artifact:
    """One artifact.

    Attributes:
        name: the output that it was.
        type: KFP schema title, for instance `system.Model`.
        uri: absolute local path, or a remote URI.
        metadata: JSON values by key.
        digest: sha256 of its bytes (of all files with their relative paths for a folder) and its metadata.
    """

    name: str
    type: str
    uri: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    def as_json(self) -> dict[str, Any]:
        """The form that the store keeps."""
        return {
            "name": self.name,
            "type": self.type,
            "uri": self.uri,
            "metadata": dict(self.metadata),
            "digest": self.digest,
        }


@dataclass(frozen=True)
class Values:
    """Parameters and artifacts, by name: the inputs or the outputs of a task. An artifact value is always a list."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The form that the store keeps."""
        listed = {name: [a.as_json() for a in artifacts] for name, artifacts in self.artifacts.items()}
        return {"parameters": {k: plain(v) for k, v in self.parameters.items()}, "artifacts": listed}

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> "Values":
        """Reads what `as_json` made."""
        artifacts = {name: tuple(Artifact(**a) for a in listed) for name, listed in body.get("artifacts", {}).items()}
        return Values(body.get("parameters", {}), artifacts)


NOTHING = Values()


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from texts(inner)


def plain(value: Any) -> Any:
    """Normalises a JSON value the way KFP's protobuf does: 3.0 and 3 are one value, written 3.

    Raises:
        ValueProblem: NaN or infinity, which no KFP parameter can carry, or not a JSON value.
    """
    if isinstance(value, float):
        return _plain_float(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    raise ValueProblem(f"{value!r} is a {type(value).__name__}, not a JSON value")


def _plain_float(value: float) -> float | int:
    if not math.isfinite(value):
        raise ValueProblem(f"{value} is not a finite number; KFP parameters cannot carry NaN or infinity")
    return int(value) if value.is_integer() else value


def coerce(value: Any, kind: str, name: str) -> Any:
    """Gives a value the declared type. As in KFP anything becomes a STRING; every other type must match.

    Args:
        value: a JSON value.
        kind: KFP parameter type.
        name: of the input, for the error.

    Raises:
        ValueProblem: the type does not match.
    """
    value = plain(value)
    if kind == STRING:
        return as_text(value)
    if kind in _FITS and not _FITS[kind](value):
        raise ValueProblem(f"input {name} got {json.dumps(value)[:200]}, which is {_kind_of(value)}; it takes {kind}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_FITS: dict[str, Callable[[Any], bool]] = {
    INTEGER: lambda v: isinstance(v, int) and not isinstance(v, bool),
    DOUBLE: _is_number,
    BOOLEAN: lambda v: isinstance(v, bool),
    LIST: lambda v: isinstance(v, list),
    STRUCT: lambda v: isinstance(v, dict),
    FINAL_STATUS: lambda v: isinstance(v, dict),
}


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: BOOLEAN, int: INTEGER, float: DOUBLE, str: STRING, list: LIST, dict: STRUCT}
    return kinds[type(value)]


def as_text(value: Any, *, decimal: bool = False) -> str:
    """A value inside a text, as KFP's driver writes it: numbers as Go's `%g`, lists and structs as JSON.

    Args:
        value: a plain JSON value.
        decimal: write numbers without exponent, as KFP's launcher does where the text also names an output.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f") if decimal else _go_g(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _go_g(value: float) -> str:
    """Go's shortest `%g`: an exponent below 1e-4 and from 1e6 up."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = len(digits) + int(exponent) - 1
    if -4 <= power < 6:
        return format(Decimal(repr(value)), "f")
    text = "".join(map(str, digits))
    mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def parse_output(text: str, kind: str, name: str) -> Any:
    """Reads the file of an output parameter as KFP's launcher does.

    Args:
        text: the whole file; a STRING keeps its newline.
        kind: KFP parameter type.
        name: of the output, for the error.

    Raises:
        ValueProblem: the text is not of that type (`3.0` is no integer, as in KFP).
    """
    try:
        if kind == STRING:
            return text
        if kind == INTEGER:
            return int(text.strip())
        if kind == BOOLEAN:
            return _GO_BOOLEANS[text.strip()]
        return plain(json.loads(text))
    except (ValueError, KeyError):
        raise ValueProblem(f"output {name} holds {text[:80]!r}, which is no {kind}; write exactly one {kind}") from None


def parse_given(text: str, kind: str, name: str) -> Any:
    """Reads a value that a person typed, for instance after `--set`: text for a STRING, else JSON (`true`, `[1, 2]`).

    Raises:
        ValueProblem: the text is not of that type.
    """
    if kind == STRING:
        return text
    try:
        return coerce(json.loads(text), kind, name)
    except json.JSONDecodeError:
        raise ValueProblem(
            f"{name}={text} is no JSON, and {name} takes {kind}; for instance {_EXAMPLES.get(kind, '1')}"
        ) from None


_EXAMPLES = {INTEGER: "3", DOUBLE: "0.5", BOOLEAN: "true", LIST: '["a", "b"]', STRUCT: '{"name": "small"}'}


def canonical(value: Any) -> str:
    """One text for one value: sorted keys, no spaces. What digests are made of."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

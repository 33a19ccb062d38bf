"""KFP's macros in parameters of recurring runs: `[[ScheduledTime]]`, `[[CurrentTime]]`, `[[Index]]`, `[[RunUUID]]`.

Times are UTC, by default like 20261231235959; `[[ScheduledTime.2006-01-02]]` gives a layout in Go's manner, where the
numbers stand for the parts of Monday 2 January 2006, 15:04:05. Whatever else stands in double brackets stays.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.engine import ir, values

_MACRO = re.compile(r"\[\[(RunUUID|Index|(ScheduledTime|CurrentTime)(?:\.(.*?))?)\]\]")
_DEFAULT_LAYOUT = "20060102150405"
_PARTS: Mapping[str, Callable[[datetime], str]] = {
    "January": lambda t: t.strftime("%B"),
    "Jan": lambda t: t.strftime("%b"),
    "Monday": lambda t: t.strftime("%A"),
    "Mon": lambda t: t.strftime("%a"),
    "MST": lambda t: "UTC",
    "Z07:00": lambda t: "Z",
    "Z0700": lambda t: "Z",
    "-07:00": lambda t: "+00:00",
    "-0700": lambda t: "+0000",
    "2006": lambda t: f"{t.year:04d}",
    "002": lambda t: t.strftime("%j"),
    "01": lambda t: f"{t.month:02d}",
    "02": lambda t: f"{t.day:02d}",
    "03": lambda t: t.strftime("%I"),
    "04": lambda t: f"{t.minute:02d}",
    "05": lambda t: f"{t.second:02d}",
    "06": lambda t: f"{t.year % 100:02d}",
    "15": lambda t: f"{t.hour:02d}",
    "PM": lambda t: t.strftime("%p"),
    "pm": lambda t: t.strftime("%p").lower(),
    "_2": lambda t: f"{t.day:2d}",
    "1": lambda t: str(t.month),
    "2": lambda t: str(t.day),
    "3": lambda t: str(t.hour % 12 or 12),
    "4": lambda t: str(t.minute),
    "5": lambda t: str(t.second),
}
_PART = re.compile("|".join(re.escape(part) for part in _PARTS))  # in this order: the longer ones first


@dataclass(frozen=True)
class Launch:
    """What the macros stand for.

    Attributes:
        scheduled: when the run was due.
        now: when it is made.
        index: how many runs of the recurring run were made before, plus one.
    """

    run_id: str
    scheduled: float
    now: float
    index: int


def expand(value: Any, launch: Launch) -> Any:
    """A value with the macros in its strings replaced, also inside lists and objects."""
    if isinstance(value, str):
        return _MACRO.sub(lambda found: _meaning(found, launch), value)
    if isinstance(value, Mapping):
        return {key: expand(inner, launch) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [expand(inner, launch) for inner in value]
    return value


def parameters(pipeline: ir.Pipeline, given: Mapping[str, Any], launch: Launch) -> dict[str, Any]:
    """The parameters of a run: macros replaced, and texts read by the declared type (some clients send only texts).

    Raises:
        PipelineError: a text that is no value of its parameter's type.
    """
    found = expand(given, launch)
    declared = pipeline.root.parameters
    for name, value in found.items():
        if isinstance(value, str) and name in declared:
            found[name] = values.parse_given(value, declared[name].kind, name)
    return dict(found)


def _meaning(found: re.Match[str], launch: Launch) -> str:
    if found[1] == "RunUUID":
        return launch.run_id
    if found[1] == "Index":
        return str(launch.index)
    seconds = launch.scheduled if found[2] == "ScheduledTime" else launch.now
    return in_layout(datetime.fromtimestamp(int(seconds), UTC), found[3] or _DEFAULT_LAYOUT)


def in_layout(time: datetime, layout: str) -> str:
    """A time as Go's `Format` writes it."""
    return _PART.sub(lambda found: _PARTS[found[0]](time), layout)

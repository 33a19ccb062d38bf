"""Text of an IR file -> Pipeline, with the checks of a run's own parameters."""

import difflib
import functools
import json
from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.engine import ir, irparse
from pipeline.engine.values import coerce
from pipeline.errors import PipelineError

_Loader = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml is ten times faster on the inlined sources of Python components


@functools.lru_cache(maxsize=8)
def read(text: str) -> ir.Pipeline:
    """Parses IR YAML or JSON (which is YAML), one document or two.

    Raises:
        PipelineError: not YAML, or not a compiled pipeline.
    """
    return irparse.parse(documents(text))


def documents(text: str) -> list[Any]:
    """The documents of IR YAML or JSON as they are: the pipeline, and perhaps its platform.

    Raises:
        PipelineError: neither YAML nor JSON.
    """
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise PipelineError(f"the pipeline is neither YAML nor JSON: {error}") from error


def api_spec(text: str) -> Any:
    """IR text as KFP's API carries it: the pipeline itself, or with its platform `{"pipeline_spec", "platform_spec"}`.

    Raises:
        PipelineError: neither YAML nor JSON.
    """
    found = documents(text)
    return found[0] if len(found) < 2 else {"pipeline_spec": found[0], "platform_spec": found[1]}


def fill_parameters(pipeline: ir.Pipeline, given: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the parameters of a run and adds the pipeline's defaults.

    Raises:
        PipelineError: an unknown name (the nearest is suggested), a wrong type, or a parameter without value.
    """
    declared = pipeline.root.parameters
    for name in given:
        if name not in declared:
            raise PipelineError(f"pipeline {pipeline.name} has no parameter {name!r}; {nearest(name, list(declared))}")
    values: dict[str, Any] = {}
    missing = []
    for name, parameter in declared.items():
        if given.get(name) is not None:
            values[name] = _allowed(parameter, coerce(given[name], parameter.kind, name))
        elif parameter.default is not ir.ABSENT:
            values[name] = parameter.default
        elif not parameter.optional:
            missing.append(f"{name} ({parameter.kind})")
    if missing:
        needed = f"a value for parameter {missing[0]}" if len(missing) == 1 else f"values for {', '.join(missing)}"
        raise PipelineError(f"pipeline {pipeline.name} needs {needed}")
    return values


def _allowed(parameter: ir.Parameter, value: Any) -> Any:
    if parameter.choices and value not in parameter.choices:
        listed = ", ".join(json.dumps(v, ensure_ascii=False) for v in parameter.choices)
        raise PipelineError(f"parameter {parameter.name} cannot be {value!r}; it is one of {listed}")
    return value


def nearest(name: str, known: list[str]) -> str:
    """A hint for an error message: the nearest known name, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"it has {', '.join(sorted(known))}" if known else "it has none"

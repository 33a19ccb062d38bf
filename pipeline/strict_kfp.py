"""`--strict-kfp`: refuses on this machine what Kubeflow Pipelines 2.17 could not run, by the checks of `ir_checks`."""

from collections.abc import Mapping
from typing import Any

from pipeline import ir_checks
from pipeline.errors import PipelineError
from pipeline.ir_shape import Shape, read

MOST_NAMED = 3


def refuse(ir_text: str, parameters: Mapping[str, Any]) -> None:
    """Checks a compiled pipeline with the parameters that a run of it gets: an empty list is seen only there.

    Raises:
        PipelineError: a check finds something; the message names check, task and way out.
    """
    found = ir_checks.findings(_with_parameters(read(ir_text), parameters))
    if found:
        more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise PipelineError(f"--strict-kfp: {'; '.join(map(str, found[:MOST_NAMED]))}{more}")


def _with_parameters(shape: Shape, parameters: Mapping[str, Any]) -> Shape:
    """The shape as if the values were the defaults: that is where the checks look."""
    defined = shape.dags["root"].get("inputDefinitions", {}).get("parameters", {})
    for name in defined.keys() & parameters.keys():
        defined[name]["defaultValue"] = parameters[name]
    return shape

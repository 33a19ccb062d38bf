"""Where the inputs of a task come from, and what is wrong with them. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from pipeline.engine import ir
from pipeline.engine.placeholders import fill_constant, parameters_named
from pipeline.engine.states import TASK_ENDED, TaskState
from pipeline.engine.values import LIST, UNKNOWN, Artifact, Collected, Missing, Unknown, ValueProblem, Values, coerce

_FINAL_WORDS = {
    TaskState.SUCCEEDED: "COMPLETE",
    TaskState.SKIPPED: "CANCELED",
}  # KFP's status uses the metadata store's words


class Sibling(Protocol):
    """What is known of a task in the same DAG."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> TaskState: ...
    @property
    def reason(self) -> str: ...
    @property
    def outputs(self) -> Values: ...


def task_inputs(
    task: ir.Task, component: ir.Component, outer: Values, siblings: Mapping[str, Any], names: Mapping[str, str]
) -> Values:
    """Resolves what a task is passed.

    Args:
        task: the task.
        component: its component, whose types the parameters are given.
        outer: inputs of the DAG around it.
        siblings: nodes of the same DAG, by name.
        names: whole-value placeholders to their text.

    Returns:
        Parameters (a value, UNKNOWN or Missing) and artifacts (missing ones are left out).
    """
    names = {**names, "{{$.pipeline_task_name}}": task.display}
    sources = task.parameters.items()
    passed = {k: _parameter(s, outer, siblings, names) for k, s in sources if s.kind != "constant"}
    moving = {k: v for k, v in passed.items() if v is not ir.ABSENT}
    fixed = {k: _filled(s.constant, moving, names) for k, s in sources if s.kind == "constant"}
    parameters = {k: _typed(k, v, component) for k, v in (moving | fixed).items()}
    listed = {k: _artifacts(s, outer, siblings) for k, s in task.artifacts.items()}
    return Values(parameters, {k: v for k, v in listed.items() if v is not None})


def with_overrides(inputs: Values, component: ir.Component, overrides: Mapping[str, Any]) -> Values:
    """Replaces parameters by those that a rerun sets; they are checked when the rerun is made."""
    typed = {k: _typed(k, v, component) for k, v in overrides.items()}
    return Values({**inputs.parameters, **typed}, inputs.artifacts) if typed else inputs


def with_defaults(component: ir.Component, inputs: Values) -> Values:
    """Adds the declared defaults of inputs that are not passed, as KFP's driver does for nested pipelines."""
    defaults = {k: p.default for k, p in component.parameters.items() if p.default is not ir.ABSENT}
    return Values({**defaults, **inputs.parameters}, inputs.artifacts)


def _filled(constant: Any, parameters: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    needed = [parameters.get(name) for name in parameters_named(constant)]
    unsettled = next((v for v in needed if isinstance(v, Unknown | Missing)), None)
    if unsettled is not None:
        return unsettled
    try:
        return fill_constant(constant, parameters, names)
    except ValueProblem as error:
        return Missing(str(error))


def _parameter(source: ir.Source, outer: Values, siblings: Mapping[str, Sibling], names: Mapping[str, str]) -> Any:
    if source.kind == "status":
        return _final_status(siblings[source.task], source.task, names)
    if source.kind == "input":
        value = outer.parameters.get(source.key, ir.ABSENT)
    else:
        value = output_of(siblings[source.task], source.key)
    return _select(value, source.path)


def output_of(producer: Sibling, key: str) -> Any:
    """An output parameter of a sibling: its value, UNKNOWN before it has ended, Missing when it will never come."""
    if producer.state not in TASK_ENDED:
        return UNKNOWN
    if producer.state is not TaskState.SUCCEEDED:
        return Missing(f"{producer.name} is {producer.state}")
    return producer.outputs.parameters.get(key, Missing(f"{producer.name} has no output {key}"))


def _final_status(node: Sibling, name: str, names: Mapping[str, str]) -> Any:
    if node.state not in TASK_ENDED:
        return UNKNOWN
    error = {"message": node.reason} if node.state is TaskState.FAILED else {}
    return {
        "state": _FINAL_WORDS.get(node.state, str(node.state)),
        "pipelineTaskName": name,
        "pipelineJobResourceName": names.get("{{$.pipeline_job_resource_name}}", ""),
        "error": error,
    }


def _select(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(value, Unknown | Missing) or value is ir.ABSENT:
            return value
        try:
            value = (json.loads(value) if isinstance(value, str) else value)[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return Missing(f"there is no [{step!r}] in {str(value)[:120]}")
    return value


def _typed(name: str, value: Any, component: ir.Component) -> Any:
    declared = component.parameters.get(name)
    if isinstance(value, Unknown | Missing):
        return value
    if value is None and declared is not None and not declared.optional:
        return Missing(f"input {name} got null, and it is not optional")
    if declared is None or value is None:
        return value
    try:
        coerced = coerce(value, declared.kind, name)
    except ValueProblem as error:
        return Missing(str(error))
    # A collected list keeps its mark on the way through nested pipelines, so that an outer loop still flattens it.
    return value if isinstance(value, Collected) and declared.kind == LIST else coerced


def _artifacts(source: ir.Source, outer: Values, siblings: Mapping[str, Sibling]) -> tuple[Artifact, ...] | None:
    values = outer if source.kind == "input" else siblings[source.task].outputs
    return values.artifacts.get(source.key)


def problem_with(task: ir.Task, component: ir.Component, inputs: Values) -> str:
    """What keeps a task from starting although its upstream is done; empty when nothing does."""
    for name, value in inputs.parameters.items():
        declared = component.parameters.get(name)
        optional = declared is not None and declared.optional and task.waits_for_all
        if isinstance(value, Missing) and not optional:
            return f"input {name} has no value: {value.reason}"
    passed = set(inputs.parameters) | set(inputs.artifacts)
    needed = [p.name for p in component.parameters.values() if not p.optional and p.default is ir.ABSENT]
    needed += [a.name for a in component.artifacts.values() if not a.optional]
    for name in needed:
        if name not in passed and not (task.loop and name == task.loop.item_input):
            return f"input {name} is not passed and has no default"
    empty = [
        k
        for k, v in inputs.artifacts.items()
        if not v and k in component.artifacts and not component.artifacts[k].is_list
    ]
    return f"input artifact {empty[0]} is empty" if empty else ""


def settled(inputs: Values) -> Values:
    """The inputs as a task's command gets them: without what is null or missing, lists as plain lists."""
    kept = {k: v for k, v in inputs.parameters.items() if v is not None and not isinstance(v, Missing | Unknown)}
    return Values({k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}, inputs.artifacts)


def loop_items(loop: ir.Loop, inputs: Values, outer: Values) -> list[Any] | Unknown | Missing:
    """The items of a loop: a list, or a text that holds a JSON list.

    Args:
        loop: the loop.
        inputs: of the loop's task.
        outer: of the DAG around it; constants may name its parameters.
    """
    source = loop.items
    value = (
        inputs.parameters.get(source.key, Missing(f"no {source.key}")) if source.kind == "input" else source.constant
    )
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            return Missing(f"the loop's items are the text {value[:80]!r}, which is no JSON list")
    if source.kind == "constant":
        value = _filled(value, {**outer.parameters, **inputs.parameters}, {})
    if isinstance(value, Unknown | Missing):
        return value
    if not isinstance(value, list | tuple):
        return Missing(f"the loop's items are {str(value)[:80]!r}, which is no list")
    return list(value)


def dag_outputs(dag: ir.Dag, members: Mapping[str, Sibling]) -> Values:
    """Outputs of a DAG: of the producers named for an output the first that succeeded (one, except for OneOf)."""
    parameters = {name: _first_parameter(producers, members) for name, producers in dag.parameters.items()}
    found = {name: _first_artifacts(producers, members) for name, producers in dag.artifacts.items()}
    return Values(parameters, {name: value for name, value in found.items() if value is not None})


def _first_parameter(producers: tuple[tuple[str, str], ...], members: Mapping[str, Sibling]) -> Any:
    values = [output_of(members[task], key) for task, key in producers]
    usable = [v for v in values if not isinstance(v, Missing | Unknown)]
    waiting = [v for v in values if isinstance(v, Unknown)]
    return (usable or waiting or values or [Missing("nothing produces it")])[0]


def _first_artifacts(
    producers: tuple[tuple[str, str], ...], members: Mapping[str, Sibling]
) -> tuple[Artifact, ...] | None:
    for task, key in producers:
        if members[task].state is TaskState.SUCCEEDED and key in members[task].outputs.artifacts:
            return members[task].outputs.artifacts[key]
    return None

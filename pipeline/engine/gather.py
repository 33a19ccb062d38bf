"""What a group makes of its members: its state, its collected outputs, and what its iterations are called. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.engine import ir
from pipeline.engine.states import TASK_ENDED, TaskState
from pipeline.engine.tree import Node
from pipeline.engine.values import UNKNOWN, Artifact, Collected, Missing, Unknown, Values, as_text

MAX_LABEL = 40


def group_state(members: Sequence[Node]) -> tuple[TaskState, str]:
    """KFP's rule: a group succeeded when nothing in it failed, even when all was skipped.

    The outcome of exit tasks (`waits_for_all`) does not count, as in KFP.
    """
    counted = [n for n in members if not (n.task and n.task.waits_for_all)]
    if any(n.state not in TASK_ENDED for n in members):
        started = any(n.state is TaskState.RUNNING or n.state is TaskState.SUCCEEDED or n.ready for n in members)
        return (TaskState.RUNNING if started else TaskState.PENDING), ""
    for state in (TaskState.FAILED, TaskState.CANCELED):
        first = next((n for n in counted if n.state is state), None)
        if first:
            return state, f"{first.name} is {state}"
    return TaskState.SUCCEEDED, ""


def collect(component: ir.Component, iterations: Sequence[Node], state: TaskState) -> Values:
    """Outputs of a loop: one flat list per output in order of iterations, over nested loops as well."""
    dag = component.dag or ir.Dag({})
    parameters = {name: _collect_parameter(name, iterations, state) for name in dag.parameters}
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    for name in dag.artifacts if state is TaskState.SUCCEEDED else ():
        artifacts[name] = tuple(a for n in iterations for a in n.outputs.artifacts.get(name, ()))
    return Values(parameters, artifacts)


def _collect_parameter(name: str, iterations: Sequence[Node], state: TaskState) -> Any:
    if state not in TASK_ENDED:
        return UNKNOWN
    values: list[Any] = []
    for node in iterations:
        value = node.outputs.parameters.get(name, Missing(f"{node.label} gave no {name}"))
        if isinstance(value, Missing | Unknown):
            return Missing(
                f"{node.label} gave no {name.removeprefix('pipelinechannel--')}: {getattr(value, 'reason', node.state)}"
            )
        values += value if isinstance(value, Collected) else [value]
    return Collected(values)


def item_labels(items: Sequence[Any]) -> list[str]:
    """What people call the iterations: a struct's `name`, else the item; with the index where that is not unique."""
    names = [_item_label(item) for item in items]
    times = Counter(names)
    return [n if n and times[n] == 1 else f"{n}({i})" for i, n in enumerate(names)]


def _item_label(item: Any) -> str:
    named = item.get("name", "") if isinstance(item, Mapping) else item
    text = "" if isinstance(named, list | Mapping) else as_text(named)
    return text.replace("/", "_")[:MAX_LABEL]

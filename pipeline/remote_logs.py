"""What tasks made, read from their logs: a stock KFP tells neither inputs nor outputs of a task.

Our steps end with a `::made` line (`components.progress`) of their component, a digest of their inputs, and outputs.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from components.progress import digest_of_inputs
from pipeline.engine import graph, resolve
from pipeline.engine.expand import expand
from pipeline.engine.ir import Pipeline
from pipeline.engine.states import TaskState
from pipeline.engine.tree import Facts, Node, Record
from pipeline.engine.values import Values

_MADE = "::made "
Made = dict[tuple[str, str], dict[str, Any]]
"""(component, digest of inputs) -> outputs."""


def made_in(log: str) -> Made:
    """What the `::made` lines of a log say: (component, digest of inputs) -> outputs."""
    found: Made = {}
    for line in log.splitlines():
        at = line.find(_MADE)  # a cluster may put a time before each line
        if at < 0:
            continue
        try:
            body = json.loads(line[at + len(_MADE) :])
            found[(body["component"], body["inputs"])] = dict(body["outputs"])
        except (ValueError, KeyError, TypeError):
            continue  # a print of the step's own
    return found


def recorded(
    pipeline: Pipeline, parameters: Mapping[str, Any], made: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, Record]:
    """Finds, task by task, what is known to have come out of exactly the inputs that each gets in this run."""
    records: dict[str, Record] = {}
    while True:
        tree = expand(pipeline, Facts(parameters, records))
        fresh = {n.key: made[_identity(n)] for n in tree.leaves if n.ready and _identity(n) in made}
        if not fresh:
            return records
        records |= {key: Record(TaskState.SUCCEEDED, Values(outputs)) for key, outputs in fresh.items()}


def _identity(node: Node) -> tuple[str, str]:
    inputs = resolve.settled(node.inputs).parameters
    own = {k: v for k, v in inputs.items() if not k.startswith("pipelinechannel--")}
    return graph.function_of(node.component), digest_of_inputs(own)


def nodes_of(body: Mapping[str, Any]) -> Sequence[str]:
    """Names under which the endpoint may have logs: a stock KFP names pods only as children of other rows."""
    rows = body.get("run_details", {}).get("task_details", [])
    children = [child.get("pod_name") for row in rows for child in row.get("child_tasks", [])]
    own = [row.get("pod_name") or row.get("task_id") for row in rows]
    return list(dict.fromkeys(name for name in [*children, *own] if name))

"""The second document of a derived pipeline: the Kubernetes settings of the executors that are left in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.engine import ir
from pipeline.engine.tree import Node


def platform_of(
    documents: Sequence[Mapping[str, Any]], pipeline: ir.Pipeline, repeated: Sequence[Node]
) -> list[dict[str, Any]]:
    """The platform document, or none.

    Args:
        documents: of the source.
        pipeline: the source, read.
        repeated: the tasks that the derived pipeline has.
    """
    if len(documents) < 2:
        return []
    around = {pipeline.components[node.component].executor: node.scope for node in repeated}
    kubernetes = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    executors = {label: _settled(kubernetes[label], scope) for label, scope in around.items() if label in kubernetes}
    return [{"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}] if executors else []


def _settled(settings: Any, scope: Mapping[str, Any]) -> Any:
    """Constants in place of the parameters that the settings name: the flat pipeline has none."""
    if isinstance(settings, Mapping):
        name = str(settings.get("componentInputParameter"))
        if name in scope:
            return {"runtimeValue": {"constant": scope[name]}}
        return {key: _settled(value, scope) for key, value in settings.items()}
    return [_settled(value, scope) for value in settings] if isinstance(settings, list) else settings

"""How many tasks a pipeline means, before it is unrolled: three loops in each other over a thousand items are short."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.engine import ir
from pipeline.errors import PipelineError

MOST_TASKS = 10_000


def refuse_too_many(pipeline: ir.Pipeline, parameters: Mapping[str, Any]) -> None:
    """Counts tasks and groups; a loop over what only a task's output will tell counts once.

    Args:
        pipeline: the pipeline.
        parameters: of the run, as far as they are known.

    Raises:
        PipelineError: more than 10,000.
    """
    _Count(pipeline).add(pipeline.root, parameters, 1)


class _Count:
    """Adds up and stops early, so that counting is never the work that it is to prevent."""

    def __init__(self, pipeline: ir.Pipeline) -> None:
        self._pipeline = pipeline
        self._total = 0

    def add(self, component: ir.Component, values: Mapping[str, Any], times: int) -> None:
        for task in component.dag.tasks.values() if component.dag else ():
            inner = {name: _known(source, values) for name, source in task.parameters.items()}
            many = times * (_length(task.loop, inner, values) if task.loop else 1)
            self._total += many
            if self._total > MOST_TASKS:
                raise PipelineError(
                    f"pipeline {self._pipeline.name} would have more than {MOST_TASKS} tasks; loop over fewer items"
                )
            self.add(self._pipeline.component_of(task), inner, many)


def _known(source: ir.Source, values: Mapping[str, Any]) -> Any:
    if source.path or source.kind not in ("constant", "input"):
        return None
    return source.constant if source.kind == "constant" else values.get(source.key)


def _length(loop: ir.Loop, inner: Mapping[str, Any], outer: Mapping[str, Any]) -> int:
    if loop.items.kind == "constant":
        items = loop.items.constant
    else:
        items = inner.get(loop.items.key, outer.get(loop.items.key))
    if isinstance(items, str):
        items = _json(items)
    return max(1, len(items)) if isinstance(items, list) else 1


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None  # refused with its reason where it is unrolled

"""Order and reach in a DAG of tasks. Pure."""

import re
from collections.abc import Iterable, Mapping

from pipeline.engine.ir import Component, Pipeline, Task
from pipeline.errors import PipelineError

_INDEX = re.compile(r"\(\d+\)$")
_COMPONENT = re.compile(r"^comp-(.+?)(-\d+)?$")


def order(tasks: Mapping[str, Task]) -> list[str]:
    """Task names, each after its dependencies; among equals in the file's order, which is alphabetical in KFP's output.

    Raises:
        PipelineError: the tasks depend on each other in a circle.
    """
    after: dict[str, list[str]] = {}
    missing = {name: len(set(task.dependencies)) for name, task in tasks.items()}
    for name, task in tasks.items():
        for dependency in set(task.dependencies):
            after.setdefault(dependency, []).append(name)
    places = {name: place for place, name in enumerate(tasks)}
    done: list[str] = []
    ready = [name for name, count in missing.items() if not count]
    while ready:
        done += ready
        for later in [later for name in ready for later in after.get(name, ())]:
            missing[later] -= 1
        candidates = {later for name in ready for later in after.get(name, ()) if not missing[later]}
        ready = sorted(candidates, key=places.__getitem__)
    if len(done) < len(tasks):
        raise PipelineError(f"tasks {', '.join(sorted(set(tasks) - set(done)))} depend on each other in a circle")
    return done


def descendants(tasks: Mapping[str, Task], name: str) -> set[str]:
    """Everything in the same DAG that depends on a task, directly or not; without the task itself."""
    found: set[str] = set()
    frontier = [name]
    while frontier:
        current = frontier.pop()
        direct = {t.name for t in tasks.values() if current in t.dependencies} - found
        found |= direct
        frontier.extend(direct)
    return found


def base_name(segment: str) -> str:
    """`for-loop-1(0)` -> `for-loop-1`: the task of the IR that a key's segment belongs to."""
    return _INDEX.sub("", segment)


def function_of(component: str) -> str:
    """`comp-pseudo-label-2` -> `pseudo_label`: the function that kfp compiled; any other name as it is."""
    found = _COMPONENT.match(component)
    return found[1].replace("-", "_") if found else component


def component_of_key(pipeline: Pipeline, key: str) -> tuple[Task, Component]:
    """The task of the IR, with its component, that an instance key belongs to."""
    *groups, last = map(base_name, key.split("/"))
    component = pipeline.root
    for name in groups:
        component = pipeline.component_of(_task_of(component, name, key))
    task = _task_of(component, last, key)
    return task, pipeline.component_of(task)


def _task_of(component: Component, name: str, key: str) -> Task:
    task = component.dag.tasks.get(name) if component.dag else None
    if task is None:
        raise PipelineError(f"the pipeline has no task {key!r}")
    return task


def downstream(pipeline: Pipeline, key: str, keys: Iterable[str]) -> set[str]:
    """Which of the instance keys come after one instance: later in its own DAG, or after the groups it lies in.

    Iterations of one loop never depend on each other, so `loop(1)/a` is not downstream of `loop(0)/a`.
    """
    roots: list[str] = []
    component, prefix = pipeline.root, ""
    for segment in key.split("/"):
        tasks = component.dag.tasks if component.dag else {}
        roots += [prefix + name for name in descendants(tasks, base_name(segment))]
        component = pipeline.component_of(tasks[base_name(segment)])
        prefix += segment + "/"
    return {k for k in keys if any(k == root or k.startswith((root + "/", root + "(")) for root in roots)}

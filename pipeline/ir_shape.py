"""Compiled KFP IR as the checks and the picture walk it: DAGs, tasks, origins of values, how often a loop runs."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

Json = dict[str, Any]
# Kubeflow's own envelope around one collected artifact; a reference is shorter.
BYTES_PER_ITEM = 400


@dataclass(frozen=True)
class Task:
    """One task of one DAG. `name` is its key there, `shown` its display name, `component` what it runs."""

    dag: str
    name: str
    body: Json
    component: Json

    @property
    def shown(self) -> str:
        return str(self.body.get("taskInfo", {}).get("name", self.name))

    @property
    def place(self) -> str:
        return f"{self.dag}/{self.name}"

    @property
    def is_loop(self) -> bool:
        return "parameterIterator" in self.body or "artifactIterator" in self.body

    @property
    def executor(self) -> str:
        return str(self.component.get("executorLabel", ""))

    def inputs(self, kind: str = "parameters") -> Json:
        """Input name to its source; `kind` is `parameters` or `artifacts`."""
        return dict(self.body.get("inputs", {}).get(kind, {}))

    def declared(self, kind: str = "parameters", side: str = "inputDefinitions") -> Json:
        """What the component declares."""
        return dict(self.component.get(side, {}).get(kind, {}))


@dataclass(frozen=True)
class Shape:
    """A whole IR file. Attributes: documents: its YAML documents; size: its bytes."""

    documents: list[Json]
    size: int

    @cached_property
    def spec(self) -> Json:
        return self.documents[0]

    @cached_property
    def executors(self) -> dict[str, Json]:
        return dict(self.spec.get("deploymentSpec", {}).get("executors", {}))

    @cached_property
    def platform(self) -> dict[str, Json]:
        """Kubernetes settings by executor."""
        platforms: Json = self.documents[1].get("platforms", {}) if len(self.documents) > 1 else {}
        return dict(platforms.get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {}))

    @cached_property
    def dags(self) -> dict[str, Json]:
        """DAG components by name, the root first."""
        components = self.spec.get("components", {})
        return {"root": self.spec.get("root", {})} | {name: c for name, c in components.items() if "dag" in c}

    @cached_property
    def tasks(self) -> list[Task]:
        return [task for dag in self.dags for task in self.tasks_of(dag)]

    def tasks_of(self, dag: str) -> list[Task]:
        bodies: dict[str, Json] = self.dags[dag].get("dag", {}).get("tasks", {})
        components = self.spec.get("components", {})
        return [Task(dag, name, body, components.get(self.inner(body), {})) for name, body in bodies.items()]

    def inner(self, body: Json) -> str:
        """The component that a task body refers to; of a loop or sub-DAG, the name of its DAG."""
        return str(body.get("componentRef", {}).get("name", ""))

    def callers(self, dag: str) -> list[Task]:
        """The tasks that run a DAG component."""
        return [task for task in self.tasks if self.inner(task.body) == dag]

    def origin(self, dag: str, name: str) -> Json | None:
        """Where an input of a DAG comes from: the root's definition, a constant, or None where a task makes it."""
        if dag == "root":
            return dict(self.dags["root"].get("inputDefinitions", {}).get("parameters", {}).get(name, {}))
        for caller in self.callers(dag):
            source = caller.inputs().get(name, {})
            if "componentInputParameter" in source:
                return self.origin(caller.dag, source["componentInputParameter"])
            return dict(source) if "runtimeValue" in source else None
        return None

    def items(self, loop: Task) -> Any:
        """The list that a loop runs over, where the file says it: a constant or the default of a root parameter."""
        source = loop.body.get("parameterIterator", {}).get("items", {})
        if "raw" in source:
            return yaml.safe_load(source["raw"])
        passed = loop.inputs().get(source.get("inputParameter", ""), {})
        found: Json | None = passed
        if "componentInputParameter" in passed:
            found = self.origin(loop.dag, passed["componentInputParameter"])
        found = found or {}
        return found.get("defaultValue", found.get("runtimeValue", {}).get("constant"))

    def iterations(self, dag: str) -> int:
        """How often the tasks of a DAG run, all enclosing loops multiplied; a loop of unknown length counts once."""
        if dag == "root":
            return 1
        total = 0
        for caller in self.callers(dag):
            items = self.items(caller) if caller.is_loop else None
            total += self.iterations(caller.dag) * (len(items) if isinstance(items, list) else 1)
        return total

    def input_bytes(self, task: Task) -> int:
        """About how long a task's executor input gets: known values as JSON, everything else by a generous guess."""
        total = 0
        for name, source in [*task.inputs().items(), *task.inputs("artifacts").items()]:
            outer = source.get("componentInputParameter")
            origin = (self.origin(task.dag, outer) if outer else source) or {}
            known = origin.get("defaultValue", origin.get("runtimeValue"))
            total += len(name) + (len(json.dumps(known)) if known is not None else self._items_from(task, source))
        return total

    def _items_from(self, task: Task, source: Json) -> int:
        producer = next(iter(find(source, "producerTask")), None)
        loops = [other for other in self.tasks_of(task.dag) if other.is_loop and other.name == producer]
        items = sum(self.iterations(self.inner(loop.body)) / max(1, self.iterations(task.dag)) for loop in loops)
        return BYTES_PER_ITEM * max(1, math.ceil(items))

    def pods(self, task: Task) -> int:
        """Pods that a task makes in a whole run: driver and container, a loop's own and one per iteration, else one."""
        runs = self.iterations(task.dag)
        if task.is_loop:
            return runs + self.iterations(self.inner(task.body))
        return runs * (2 if "container" in self.executors.get(task.executor, {}) else 1)

    def within(self, dag: str) -> Iterator[Task]:
        """All tasks of a DAG and of the DAGs inside it."""
        for task in self.tasks_of(dag):
            yield task
            if "dag" in task.component:
                yield from self.within(self.inner(task.body))


def read(text: str) -> Shape:
    """Reads IR YAML."""
    return Shape([document for document in yaml.load_all(text, Loader=_Loader) if document], len(text.encode()))


def strings(value: Any) -> Iterator[str]:
    """All strings anywhere in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def find(value: Any, key: str) -> Iterator[Any]:
    """All values stored under a key, anywhere in a JSON value."""
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            if name == key:
                yield part
            yield from find(part, key)


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

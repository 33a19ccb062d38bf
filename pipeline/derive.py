"""A pipeline that repeats one task of a run where nobody can be asked to reuse the others: on a KFP endpoint.

The run is unrolled with what is known about it. Tasks that succeeded stand in the new pipeline as what they made:
parameters as constants (ours are references), artifacts as importers. The chosen task, all that comes after it and all
that is not known to have succeeded stand in it as tasks. What these will make is not known yet, so the unrolling goes
on with symbols in place of it, and wherever a symbol arrives, an edge is drawn.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pipeline.derive_platform import platform_of
from pipeline.engine import graph, ir, irtext, resolve
from pipeline.engine.expand import expand
from pipeline.engine.rerun import REUSE, RUN, PlanRow
from pipeline.engine.states import TASK_ENDED, TaskState
from pipeline.engine.tree import Facts, Node, Record, Tree
from pipeline.engine.values import Artifact, Values
from pipeline.errors import NotFound, PipelineError

_SYMBOL = re.compile(r"<<seamline:(\d+):([^>]*)>>")
CHANNEL = "pipelinechannel--seamline-"


@dataclass(frozen=True)
class Derived:
    """The new pipeline's IR YAML, and what it runs and reuses."""

    text: str
    rows: tuple[PlanRow, ...]


def derive(text: str, facts: Facts, chosen: str) -> Derived:
    """Derives the pipeline that repeats a task.

    Args:
        text: IR of the run.
        facts: the run's parameters, records of the tasks known to have succeeded, and the changed inputs.
        chosen: label of the task, a unique end of it, or its key.

    Raises:
        NotFound: no such task, or several.
        PipelineError: what follows depends on values that only the repeated task will make: a condition, the items of
            a loop, or an input that is no text.
    """
    pipeline = irtext.read(text)
    before = expand(pipeline, facts)
    key = find(before, chosen).key
    after = graph.downstream(pipeline, key, [n.key for n in before.nodes]) | {key}
    kept = {k: r for k, r in facts.records.items() if k not in after}
    done, repeated = _unrolled(pipeline, Facts(facts.parameters, kept, facts.names, facts.overrides))
    return Derived(_Writer(text, pipeline, repeated, key).text(), tuple(_rows(done, repeated, key, after)))


def find(tree: Tree, name: str) -> Node:
    """A task by its key, its label or a unique end of its label. Raises NotFound."""
    exact = [n for n in tree.leaves if name in (n.key, n.label)]
    found = exact or [n for n in tree.leaves if n.label.endswith("/" + name)]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(n.label for n in (found or tree.leaves)[:10])
    raise NotFound(f"task {name!r} {'could be' if found else 'is not in the run; it has'} {listed}")


def _unrolled(pipeline: ir.Pipeline, facts: Facts) -> tuple[Tree, list[Node]]:
    """The whole tree, and the tasks to repeat in an order in which each comes after what it needs."""
    records, repeated = dict(facts.records), list[Node]()
    while True:
        tree = expand(pipeline, Facts(facts.parameters, records, facts.names, facts.overrides))
        ready = [n for n in tree.leaves if n.ready]
        for node in ready:
            outputs = _symbols(pipeline.components[node.component], len(repeated))
            records[node.key] = Record(TaskState.SUCCEEDED, outputs)
            repeated.append(node)
        if not ready:
            _refuse_open_ends(tree)
            return tree, repeated


def _symbols(component: ir.Component, number: int) -> Values:
    def symbol(name: str) -> str:
        return f"<<seamline:{number}:{name}>>"

    artifacts = {n: (Artifact(n, a.kind, symbol(n)),) for n, a in component.output_artifacts.items()}
    return Values({name: symbol(name) for name in component.output_parameters}, artifacts)


def _refuse_open_ends(tree: Tree) -> None:
    """A symbol in a condition, a loop or a number stops the unrolling there."""
    for node in tree.nodes:
        if (
            _SYMBOL.search(node.reason)
            or _is_decided_by_symbol(node)
            or (node.state is TaskState.FAILED and not node.is_leaf)
            or node.state not in TASK_ENDED
        ):
            raise PipelineError(
                f"{node.label} depends on what a repeated task will make ({_SYMBOL.sub('its output', node.reason)}); "
                "this cannot be derived, run the whole pipeline again (what is unchanged comes from the cache)"
            )


def _is_decided_by_symbol(node: Node) -> bool:
    """Whether a condition compares something that is not known yet: it would come out false, whatever it will be."""
    condition = node.task.condition if node.task else ""
    named = [v for k, v in node.inputs.parameters.items() if f"'{k}'" in condition]
    return any(_SYMBOL.search(str(value)) for value in named)


def _rows(tree: Tree, repeated: Sequence[Node], key: str, after: set[str]) -> Iterator[PlanRow]:
    again = {n.key for n in repeated}
    for node in tree.leaves:
        if node.key not in again:
            yield PlanRow(node.key, node.label, REUSE, "succeeded; its outputs become constants")
        elif node.key == key:
            yield PlanRow(node.key, node.label, RUN, "chosen")
        elif node.key in after:
            yield PlanRow(node.key, node.label, RUN, "comes after the chosen task")
        else:
            yield PlanRow(node.key, node.label, RUN, "its outputs are not known; the endpoint's cache may have them")


class _Writer:
    """Writes the tasks to repeat as one flat DAG."""

    def __init__(self, text: str, pipeline: ir.Pipeline, repeated: Sequence[Node], chosen: str) -> None:
        self._chosen = chosen
        self._documents: list[dict[str, Any]] = [d for d in irtext.documents(text) if d]
        self._pipeline = pipeline
        self._repeated = repeated
        self._names = _unique([_slug(n.label) for n in repeated])
        self._importers: dict[str, str] = {}  # uri -> task name
        self._spec: dict[str, Any] = {
            "pipelineInfo": {"name": _slug(f"{pipeline.name}-rerun")},
            "components": {},
            "deploymentSpec": {"executors": {}},
            "root": {"dag": {"tasks": {}}},
            **{k: self._documents[0][k] for k in ("schemaVersion", "sdkVersion") if k in self._documents[0]},
        }

    def text(self) -> str:
        tasks = self._spec["root"]["dag"]["tasks"]
        for name, node in zip(self._names, self._repeated, strict=True):
            tasks[name] = self._task(name, node)
        self._pass_all_channels()
        return yaml.safe_dump_all(
            [self._spec, *platform_of(self._documents, self._pipeline, self._repeated)],
            sort_keys=True,
            allow_unicode=True,
        )

    def _task(self, name: str, node: Node) -> dict[str, Any]:
        component = self._component(node.component)
        inputs = resolve.settled(node.inputs)
        needs: set[str] = set()
        parameters: dict[str, Any] = {}
        for key, value in inputs.parameters.items():
            parameters |= self._parameter(key, value, component, parameters, needs)
        artifacts = {k: self._artifact(found, needs) for k, found in inputs.artifacts.items()}
        body = dict(self._source_of(node))
        body["inputs"] = {k: v for k, v in (("parameters", parameters), ("artifacts", artifacts)) if v}
        body["taskInfo"] = {"name": name}
        body["dependentTasks"] = sorted(needs | set(self._told_to_wait_for(node)))
        return {k: v for k, v in body.items() if v or k in ("inputs", "cachingOptions")}

    def _source_of(self, node: Node) -> dict[str, Any]:
        """How the task stands in the source, without what belongs to its place there."""
        task = node.task.name if node.task else ""
        dag = self._dag_of(node.parent)
        kept = ("cachingOptions", "componentRef", "retryPolicy")
        source = {k: v for k, v in dag["tasks"][task].items() if k in kept}
        return source | ({"cachingOptions": {}} if node.key == self._chosen else {})  # chosen to run, cached or not

    def _dag_of(self, group: str) -> dict[str, Any]:
        source = self._documents[0]
        dag: dict[str, Any] = source["root"]["dag"]
        for part in [p for p in re.split(r"/", group) if p]:
            dag = source["components"][dag["tasks"][graph.base_name(part)]["componentRef"]["name"]]["dag"]
        return dag

    def _told_to_wait_for(self, node: Node) -> Iterator[str]:
        """`.after(...)`: siblings that it takes nothing from."""
        prefix = node.key[: len(node.key) - len(node.task.name)] if node.task else ""
        wanted = {prefix + d for d in (node.task.dependencies if node.task else ())}
        for name, other in zip(self._names, self._repeated, strict=True):
            if other.key in wanted:
                yield name

    def _component(self, name: str) -> dict[str, Any]:
        """The component and its executor, copied once; what tells parallel loops apart is of no use here."""
        components = self._spec["components"]
        if name not in components:
            components[name] = json.loads(json.dumps(self._documents[0]["components"][name]))
            label = components[name]["executorLabel"]
            self._spec["deploymentSpec"]["executors"][label] = self._documents[0]["deploymentSpec"]["executors"][label]
        found: dict[str, Any] = components[name]
        return found

    def _parameter(
        self, key: str, value: Any, component: dict[str, Any], others: Mapping[str, Any], needs: set[str]
    ) -> dict[str, Any]:
        """One input of a task, and the channels that a symbol inside it needs."""
        whole = _SYMBOL.fullmatch(value) if isinstance(value, str) else None
        if whole:
            return {key: self._from_output(whole, needs)}
        channels: dict[str, Any] = {}

        def channel(found: re.Match[str]) -> str:
            name = f"{CHANNEL}{sum(k.startswith(CHANNEL) for k in others) + len(channels)}"
            channels[name] = self._from_output(found, needs)
            component["inputDefinitions"]["parameters"][name] = {"parameterType": "STRING", "isOptional": True}
            return "{{$.inputs.parameters['" + name + "']}}"

        constant = _replaced(value, channel)
        return {key: {"runtimeValue": {"constant": constant}}, **channels}

    def _from_output(self, found: re.Match[str], needs: set[str]) -> dict[str, Any]:
        producer = self._names[int(found[1])]
        needs.add(producer)
        return {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": found[2]}}

    def _artifact(self, found: Sequence[Artifact], needs: set[str]) -> dict[str, Any]:
        if len(found) != 1:
            raise PipelineError(f"a list of {len(found)} artifacts cannot be passed on here; pass references instead")
        symbol = _SYMBOL.fullmatch(found[0].uri)
        producer = self._names[int(symbol[1])] if symbol else self._importer(found[0])
        needs.add(producer)
        key = symbol[2] if symbol else "artifact"
        return {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": key}}

    def _importer(self, artifact: Artifact) -> str:
        if artifact.uri in self._importers:
            return self._importers[artifact.uri]
        name = "importer" if not self._importers else f"importer-{len(self._importers) + 1}"
        kind = {"schemaTitle": artifact.type, "schemaVersion": "0.0.1"}
        self._spec["components"][f"comp-{name}"] = {
            "executorLabel": f"exec-{name}",
            "inputDefinitions": {"parameters": {"uri": {"parameterType": "STRING"}}},
            "outputDefinitions": {"artifacts": {"artifact": {"artifactType": kind}}},
        }
        self._spec["deploymentSpec"]["executors"][f"exec-{name}"] = {
            "importer": {"artifactUri": {"constant": artifact.uri}, "typeSchema": kind}
        }
        self._spec["root"]["dag"]["tasks"][name] = {
            "cachingOptions": {},
            "componentRef": {"name": f"comp-{name}"},
            "inputs": {"parameters": {"uri": {"runtimeValue": {"constant": artifact.uri}}}},
            "taskInfo": {"name": name},
        }
        self._importers[artifact.uri] = name
        return name

    def _pass_all_channels(self) -> None:
        """Every declared input is passed, so that the endpoint's cache sees the whole of it."""
        for task in self._spec["root"]["dag"]["tasks"].values():
            declared = self._spec["components"][task["componentRef"]["name"]].get("inputDefinitions", {})
            for name in declared.get("parameters", {}):
                if name.startswith(CHANNEL):
                    task["inputs"]["parameters"].setdefault(name, {"runtimeValue": {"constant": ""}})


def _replaced(value: Any, channel: Any) -> Any:
    if isinstance(value, str):
        return _SYMBOL.sub(channel, value)
    if isinstance(value, list | tuple):
        return [_replaced(v, channel) for v in value]
    if isinstance(value, Mapping):
        return {k: _replaced(v, channel) for k, v in value.items()}
    return value


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "task"


def _unique(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return found

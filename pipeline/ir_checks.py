"""Is a compiled pipeline safe for Kubeflow Pipelines 2.17? 25 checks over the IR, each against a trap of that backend.

Compiling twice and comparing, the other half of check 25, is a test: one file cannot show it.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline import ir_pod_checks as pods
from pipeline.ir_pod_checks import Found
from pipeline.ir_shape import Shape, Task, find, read

SIDE_EFFECTS = ("components.promote",)
MAX_IR_BYTES, MAX_INPUT_BYTES, MAX_ITERATIONS, MAX_PODS = 500_000, 100_000, 150, 1000


@dataclass(frozen=True)
class Finding:
    """One fault: the check (1 to 25), the place (task, component, parameter), what is wrong and the way out."""

    check: int
    place: str
    message: str

    def __str__(self) -> str:
        return f"check {self.check}, {self.place}: {self.message}"


def check(ir: str) -> list[Finding]:
    """Runs all checks over IR YAML. An empty list means safe."""
    return findings(read(ir))


def findings(ir: Shape) -> list[Finding]:
    """The same for IR that is read already."""
    return [Finding(number, *found) for number, function in CHECKS.items() for found in sorted(function(ir))]


def documents(ir: Shape) -> Found:
    if len(ir.documents) > 2 or (len(ir.documents) == 2 and not ir.platform):
        yield "file", "expected one IR document, and a second one only with Kubernetes settings in it"
    for name in ir.platform.keys() - ir.executors.keys():
        yield name, "has Kubernetes settings but is no executor of this pipeline; compile it anew"


def artifact_lists_into_dags(ir: Shape) -> Found:
    for name, dag in ir.dags.items():
        for artifact, definition in dag.get("inputDefinitions", {}).get("artifacts", {}).items():
            if definition.get("isArtifactList"):
                yield (
                    f"{name}.{artifact}",
                    "a list of artifacts keeps one item on entering a sub-DAG; pass references as strings",
                )


def dag_inputs_exist(ir: Shape) -> Found:
    for task in ir.tasks:
        known = ir.dags[task.dag].get("inputDefinitions", {})
        for kind, key in (("parameters", "componentInputParameter"), ("artifacts", "componentInputArtifact")):
            for name, source in task.inputs(kind).items():
                if key in source and source[key] not in known.get(kind, {}):
                    yield (
                        f"{task.place}.{name}",
                        f"reads {source[key]}, which its DAG is not given; pass it as a plain input too",
                    )


def lists_come_from_loops(ir: Shape) -> Found:
    for task in ir.tasks:
        loops = {other.name for other in ir.tasks_of(task.dag) if other.is_loop}
        for name, definition in task.declared("artifacts").items():
            producer = task.inputs("artifacts").get(name, {}).get("taskOutputArtifact", {}).get("producerTask")
            if definition.get("isArtifactList") and producer not in loops:
                yield (
                    f"{task.place}.{name}",
                    "a list of artifacts must come from a loop in the same DAG; collect it there",
                )


def no_condition_in_collected(ir: Shape) -> Found:
    for loop in (task for task in ir.tasks if task.is_loop):
        outputs = ir.dags.get(ir.inner(loop.body), {}).get("dag", {}).get("outputs", {})
        for producer in set(find(outputs, "producerSubtask")):
            if str(producer).startswith("condition-"):
                yield loop.place, f"collects from {producer}: a skipped branch fails the consumer; emit a value always"


def one_artifact_one_input(ir: Shape) -> Found:
    for task in ir.tasks:
        sources = [json.dumps(source, sort_keys=True) for source in task.inputs("artifacts").values()]
        if "dag" in task.component and len(set(sources)) < len(sources):
            yield task.place, "gives one artifact to two inputs of a sub-DAG, which keeps one name of it; give it once"


def loops_are_not_empty(ir: Shape) -> Found:
    for loop in (task for task in ir.tasks if task.is_loop):
        if ir.items(loop) == []:
            yield loop.place, "runs over an empty list, which fails whoever collects from it; give at least one item"


def upstream_failures_ignored_safely(ir: Shape) -> Found:
    for task in _on_any_outcome(ir):
        siblings = {other.name: other for other in ir.tasks_of(task.dag)}
        upstream = task.body.get("dependentTasks", [])
        if len(upstream) != 1 or siblings[upstream[0]].is_loop:
            yield task.place, "runs whatever became of its upstream: that needs exactly one upstream task, and no loop"
        if any(task.name in other.body.get("dependentTasks", []) for other in siblings.values()):
            yield task.place, "runs whatever became of its upstream: nothing may depend on it"


def side_effects_uncached(ir: Shape) -> Found:
    for task in ir.tasks:
        command = ir.executors.get(task.executor, {}).get("container", {}).get("command", [])
        if _cached(task) and (set(command) & set(SIDE_EFFECTS) or task in list(_on_any_outcome(ir))):
            why = "acts on the world or ends the run, and is cached: a hit would skip it; switch its caching off"
            yield task.place, why
    for dag in ir.dags.values():
        for selectors in [*find(dag, "artifactSelectors"), *find(dag, "parameterSelectors")]:
            branches = {selector.get("producerSubtask") for selector in selectors}
            for branch in (task for task in ir.tasks if len(branches) > 1 and task.name in branches):
                if any(map(_cached, _last(ir, branch))):
                    why = "one branch of several ends in a cached task; KFP then finds no finished branch"
                    yield branch.place, f"{why}; switch its caching off"


def output_names(ir: Shape) -> Found:
    for name, component in ir.spec.get("components", {}).items():
        parts = component.get("outputDefinitions", {})
        for output in [*parts.get("parameters", {}), *parts.get("artifacts", {})]:
            if output.startswith("executor-logs"):
                yield f"{name}.{output}", "this name is the launcher's own; give another"
        for output in parts.get("parameters", {}).keys() & parts.get("artifacts", {}).keys():
            yield f"{name}.{output}", "is both a parameter and an artifact; rename one"


def inputs_passed(ir: Shape) -> Found:
    for task in ir.tasks:
        iterated = set(find(task.body.get("parameterIterator", {}), "itemInput"))
        for kind in ("parameters", "artifacts"):
            for name in task.declared(kind).keys() - task.inputs(kind).keys() - iterated:
                yield (
                    f"{task.place}.{name}",
                    "is not passed; pass it, since a default inside the component is not part of the cache key",
                )


def importers(ir: Shape) -> Found:
    for task in ir.tasks:
        if "importer" not in ir.executors.get(task.executor, {}):
            continue
        if "taskOutputParameter" in task.inputs().get("uri", {}):
            yield task.place, "an importer's address must be a constant or a pipeline parameter"
        if task.shown not in (task.name, "importer") or "triggerPolicy" in task.body:
            yield task.place, "an importer can have no display name and no condition; leave them out"


def caching_and_parallelism(ir: Shape) -> Found:
    for task in ir.tasks:
        if "cacheKey" in task.body.get("cachingOptions", {}):
            yield task.place, "a cache key of its own is not known to KFP 2.17; leave it out"
        on_gpu = task.is_loop and any(_accelerator(ir, inner) for inner in ir.within(ir.inner(task.body)))
        if on_gpu and not task.body.get("iteratorPolicy", {}).get("parallelismLimit"):
            yield task.place, "a loop over GPU tasks without parallelism takes every GPU there is; set it"
    for name in (name for name, settings in ir.platform.items() if "initContainers" in settings):
        yield name, "init containers are not known to KFP 2.17; leave them out"


def unsupported(ir: Shape) -> Found:
    for task in ir.tasks:
        if "artifactIterator" in task.body:
            yield task.place, "loops over artifacts are not supported; loop over references"
        if any(definition.get("parameterType") == "TASK_CONFIG" for definition in task.declared().values()):
            yield task.place, "TASK_CONFIG inputs are not supported; pass plain parameters"
    for name, executor in ir.executors.items():
        for kind in executor.keys() & {"resolver", "customJob"}:
            yield name, f"{kind} is not supported; use a container"
    for kind in ir.dags["root"].get("outputDefinitions", {}):
        yield "root", f"has output {kind}, which nobody can read on KFP 2.17; write a reference or an artifact"


def sizes(ir: Shape) -> Found:
    if ir.size >= MAX_IR_BYTES:
        yield "file", f"is {ir.size} bytes; Argo takes less than {MAX_IR_BYTES}, so split it"
    for dag in ir.dags:
        if ir.iterations(dag) >= MAX_ITERATIONS:
            yield dag, f"runs {ir.iterations(dag)} times; keep below {MAX_ITERATIONS}"
    for task in ir.tasks:
        if task.executor and ir.input_bytes(task) >= MAX_INPUT_BYTES:
            yield (
                task.place,
                f"its executor input may reach {ir.input_bytes(task)} bytes; keep below {MAX_INPUT_BYTES}",
            )
    pods = 1 + sum(ir.pods(task) for task in ir.tasks)
    if pods >= MAX_PODS:
        yield "file", f"makes {pods} pods; keep below {MAX_PODS}"


def root_parameters(ir: Shape) -> Found:
    for name, definition in ir.dags["root"].get("inputDefinitions", {}).get("parameters", {}).items():
        kind, default = definition.get("parameterType"), definition.get("defaultValue")
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            yield name, "give small letters, digits and _"
        if not kind:
            yield name, "has no type; declare one"
        if isinstance(default, float) and not math.isfinite(default):
            yield name, "its default is no finite number, which JSON cannot carry; give another"
        elif kind == "NUMBER_INTEGER" and default is not None and default != int(default):
            yield name, f"is an integer with the default {default}; give a whole number"


def versions(ir: Shape) -> Found:
    if not str(ir.spec.get("sdkVersion", "")).startswith("kfp-2.17."):
        yield "file", f"compiled by {ir.spec.get('sdkVersion')}; expected kfp-2.17.x: compile it with that"
    if ir.spec.get("schemaVersion") != "2.1.0":
        yield "file", f"has schema {ir.spec.get('schemaVersion')}; expected 2.1.0: compile it with kfp 2.17"


def _on_any_outcome(ir: Shape) -> Iterator[Task]:
    key = "ALL_UPSTREAM_TASKS_COMPLETED"
    return (task for task in ir.tasks if task.body.get("triggerPolicy", {}).get("strategy") == key)


def _cached(task: Task) -> bool:
    return bool(task.body.get("cachingOptions", {}).get("enableCache"))


def _last(ir: Shape, branch: Task) -> list[Task]:
    """The tasks of a branch that nothing else in it waits for."""
    tasks = ir.tasks_of(ir.inner(branch.body)) if "dag" in branch.component else [branch]
    upstream = {name for task in tasks for name in task.body.get("dependentTasks", [])}
    return [task for task in tasks if task.name not in upstream]


def _accelerator(ir: Shape, task: Task) -> bool:
    return "accelerator" in ir.executors.get(task.executor, {}).get("container", {}).get("resources", {})


_IN_ORDER: tuple[Callable[[Shape], Found], ...] = (
    documents, artifact_lists_into_dags, dag_inputs_exist, pods.platform_inputs_exist, pods.resource_parameters,
    pods.shared_containers, lists_come_from_loops, no_condition_in_collected, one_artifact_one_input,
    loops_are_not_empty, upstream_failures_ignored_safely, side_effects_uncached, pods.placeholders,
    pods.placeholder_inputs_passed, output_names, inputs_passed, pods.images_pinned, pods.retries_have_time,
    importers, caching_and_parallelism, unsupported, sizes, root_parameters, pods.gpu_tasks, versions,
)  # fmt: skip
CHECKS = dict(enumerate(_IN_ORDER, start=1))

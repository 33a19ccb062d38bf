"""Documents of an IR file -> dataclasses. What no engine runs is refused here, with the name of the task."""

from collections.abc import Mapping
from typing import Any

from pipeline.engine.ir import (
    ABSENT,
    ArtifactSpec,
    Component,
    Container,
    Dag,
    Importer,
    Loop,
    Parameter,
    Pipeline,
    Retry,
    Source,
    Task,
)
from pipeline.engine.values import STRING, plain
from pipeline.errors import PipelineError


def parse(documents: list[Any]) -> Pipeline:
    """Builds a pipeline from the parsed documents of an IR file; `irtext.read` makes them from text.

    Raises:
        PipelineError: not a pipeline of schema 2.1, or it uses what no engine runs.
    """
    spec = documents[0] if documents else None
    if not isinstance(spec, dict) or "root" not in spec or not str(spec.get("schemaVersion", "")).startswith("2."):
        raise PipelineError(
            "the text is no compiled KFP pipeline (no `root` with schemaVersion 2.x); compile it with kfp 2"
        )
    platform = next((d for d in documents[1:] if isinstance(d, dict) and "platforms" in d), {})
    info = spec.get("pipelineInfo", {})
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    pipeline = Pipeline(
        name=info.get("name", "pipeline"),
        description=info.get("description", ""),
        root=_component("root", spec["root"]),
        components={name: _component(name, body) for name, body in spec.get("components", {}).items()},
        executors={label: _executor(label, body, platform) for label, body in executors.items()},
        platform=platform,
    )
    _check(pipeline)
    return pipeline


def _check(pipeline: Pipeline) -> None:
    for component in [pipeline.root, *pipeline.components.values()]:
        for task in component.dag.tasks.values() if component.dag else ():
            if task.component not in pipeline.components:
                raise PipelineError(f"task {task.name} uses component {task.component}, which the pipeline lacks")
            unknown = set(task.dependencies) - set(component.dag.tasks if component.dag else ())
            if unknown:
                raise PipelineError(f"task {task.name} depends on {sorted(unknown)}, which its pipeline lacks")
        if component.dag is None and component.executor not in pipeline.executors:
            raise PipelineError(
                f"component {component.name} has neither a dag nor a known executor ({component.executor!r})"
            )


def _component(name: str, body: Mapping[str, Any]) -> Component:
    inputs, outputs = body.get("inputDefinitions", {}), body.get("outputDefinitions", {})
    return Component(
        name=name,
        parameters={k: _parameter(k, v) for k, v in inputs.get("parameters", {}).items()},
        artifacts={k: _artifact(k, v) for k, v in inputs.get("artifacts", {}).items()},
        output_parameters={k: _parameter(k, v) for k, v in outputs.get("parameters", {}).items()},
        output_artifacts={k: _artifact(k, v) for k, v in outputs.get("artifacts", {}).items()},
        executor=body.get("executorLabel", ""),
        dag=_dag(body["dag"]) if "dag" in body else None,
    )


def _parameter(name: str, body: Mapping[str, Any]) -> Parameter:
    default = plain(body["defaultValue"]) if "defaultValue" in body else ABSENT
    kind = body.get("parameterType", body.get("type", STRING))
    choices = tuple(plain(value) for value in body.get("literals", ()))
    return Parameter(name, kind, bool(body.get("isOptional")), default, body.get("description", ""), choices)


def _artifact(name: str, body: Mapping[str, Any]) -> ArtifactSpec:
    schema = body.get("artifactType", {})
    return ArtifactSpec(
        name=name,
        kind=schema.get("schemaTitle", "system.Artifact"),
        version=schema.get("schemaVersion", ""),
        is_list=bool(body.get("isArtifactList")),
        optional=bool(body.get("isOptional")),
    )


def _dag(body: Mapping[str, Any]) -> Dag:
    outputs = body.get("outputs", {})
    parameters = {k: _parameter_producers(v) for k, v in outputs.get("parameters", {}).items()}
    artifacts = {k: _artifact_producers(v) for k, v in outputs.get("artifacts", {}).items()}
    return Dag({name: _task(name, t) for name, t in body.get("tasks", {}).items()}, parameters, artifacts)


def _parameter_producers(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    single = [body["valueFromParameter"]] if "valueFromParameter" in body else []
    selectors = single or body.get("valueFromOneof", {}).get("parameterSelectors", [])
    return tuple((s["producerSubtask"], s["outputParameterKey"]) for s in selectors)


def _artifact_producers(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((s["producerSubtask"], s["outputArtifactKey"]) for s in body.get("artifactSelectors", []))


def _task(name: str, body: Mapping[str, Any]) -> Task:
    if "artifactIterator" in body:
        raise PipelineError(f"task {name} loops over artifacts; loop over parameters (their URIs) instead")
    inputs, trigger = body.get("inputs", {}), body.get("triggerPolicy", {})
    parameters = {k: _source(k, v) for k, v in inputs.get("parameters", {}).items()}
    artifacts = {k: _source(k, v) for k, v in inputs.get("artifacts", {}).items()}
    implied = [s.task for s in [*parameters.values(), *artifacts.values()] if s.task]
    return Task(
        name=name,
        display=body.get("taskInfo", {}).get("name", name),
        component=body["componentRef"]["name"],
        dependencies=tuple(dict.fromkeys([*body.get("dependentTasks", []), *implied])),
        parameters=parameters,
        artifacts=artifacts,
        condition=trigger.get("condition", ""),
        waits_for_all=trigger.get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED",
        loop=_loop(body),
        cache=bool(body.get("cachingOptions", {}).get("enableCache")),
        retry=_retry(body.get("retryPolicy", {})),
    )


def _loop(body: Mapping[str, Any]) -> Loop | None:
    iterator = body.get("parameterIterator")
    if iterator is None:
        return None
    items = iterator["items"]
    source = Source("constant", items["raw"]) if "raw" in items else Source("input", key=items["inputParameter"])
    return Loop(iterator["itemInput"], source, int(body.get("iteratorPolicy", {}).get("parallelismLimit", 0)))


def _retry(body: Mapping[str, Any]) -> Retry:
    return Retry(
        limit=int(body.get("maxRetryCount", 0)),
        backoff_s=_seconds(body.get("backoffDuration", "0s")),
        factor=float(body.get("backoffFactor", 2.0)),
        backoff_max_s=_seconds(body.get("backoffMaxDuration", "3600s")),
    )


def _seconds(text: str) -> float:
    return float(str(text).removesuffix("s"))


def _source(name: str, body: Mapping[str, Any]) -> Source:
    path = _selector(name, body.get("parameterExpressionSelector", ""))
    if "runtimeValue" in body:
        return _constant(body["runtimeValue"])
    if "taskFinalStatus" in body:
        return Source("status", task=body["taskFinalStatus"]["producerTask"])
    for kind, output in (("taskOutputParameter", "outputParameterKey"), ("taskOutputArtifact", "outputArtifactKey")):
        if kind in body:
            return Source("output", task=body[kind]["producerTask"], key=body[kind][output], path=path)
    for kind in ("componentInputParameter", "componentInputArtifact"):
        if kind in body:
            return Source("input", key=body[kind], path=path)
    raise PipelineError(f"input {name} comes from {sorted(body)}, which this engine does not know")


def _constant(body: Mapping[str, Any]) -> Source:
    if "runtimeParameter" in body:
        return Source("input", key=body["runtimeParameter"])
    if "constantValue" in body:  # IR of kfp 2.0 betas: {"stringValue": ...}
        return Source("constant", plain(next(iter(body["constantValue"].values()))))
    return Source("constant", plain(body.get("constant")))


def _selector(name: str, text: str) -> tuple[str | int, ...]:
    """Reads `parseJson(string_value)["a"]["b"]`, the only form kfp emits."""
    head = "parseJson(string_value)"
    if not text:
        return ()
    if not text.startswith(head):
        raise PipelineError(f"input {name} selects by {text!r}; only {head}[...] is known")
    parts = text.removeprefix(head).removeprefix("[").removesuffix("]").split("][")
    return tuple(int(p) if p.isdigit() else p.strip("\"'") for p in parts)


def _executor(label: str, body: Mapping[str, Any], platform: Mapping[str, Any]) -> Container | Importer:
    if "importer" in body:
        uri = body["importer"].get("artifactUri", {})
        return Importer(
            str(uri.get("constant", "")), uri.get("runtimeParameter", ""), plain(body["importer"].get("metadata", {}))
        )
    if "container" not in body:
        raise PipelineError(f"executor {label} is a {sorted(body)}; only containers and importers run here")
    container = body["container"]
    executors = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    kubernetes = executors.get(label, {})
    return Container(
        image=container.get("image", ""),
        command=tuple(container.get("command", ())),
        args=tuple(container.get("args", ())),
        env={e["name"]: e.get("value", "") for e in container.get("env", ())},
        resources=container.get("resources", {}),
        timeout_s=float(kubernetes.get("activeDeadlineSeconds", 0)),
        kubernetes=kubernetes,
    )

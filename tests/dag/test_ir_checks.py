"""Each of the 25 checks catches the fault it is there for, planted into the compiled FashionAI pipeline."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from pipeline import ir_checks
from pipeline.ir_shape import Shape, read

Json = dict[str, Any]
Plant = Callable[[Json, Json], object]
LOOP, MODELS = "comp-for-loop-1", "comp-for-loop-2"


def container(spec: Json, executor: str = "exec-ingest") -> Json:
    return spec["deploymentSpec"]["executors"][executor]["container"]  # type: ignore[no-any-return]


def tasks(spec: Json, dag: str = "root") -> Json:
    component = spec["root"] if dag == "root" else spec["components"][dag]
    return component["dag"]["tasks"]  # type: ignore[no-any-return]


def root_inputs(spec: Json) -> Json:
    return spec["root"]["inputDefinitions"]["parameters"]  # type: ignore[no-any-return]


def inputs_of(spec: Json, component: str) -> Json:
    return spec["components"][component]["inputDefinitions"]["parameters"]  # type: ignore[no-any-return]


def output_artifacts(spec: Json) -> Json:
    return spec["components"]["comp-ingest"]["outputDefinitions"]["artifacts"]  # type: ignore[no-any-return]


def retry(spec: Json) -> Json:
    return tasks(spec, MODELS)["train"]["retryPolicy"]  # type: ignore[no-any-return]


def resources(spec: Json) -> Json:
    return container(spec, "exec-train")["resources"]  # type: ignore[no-any-return]


def declare(spec: Json, component: str, kind: str, name: str, definition: Json) -> None:
    spec["components"][component]["inputDefinitions"].setdefault(kind, {})[name] = definition


def plant_unknown_pool(_: Json, platform: Json) -> None:
    platform["exec-train"]["nodeSelector"] = {"nodeSelectorJson": {"componentInputParameter": "pool"}}


def plant_collected_from_a_branch(spec: Json, _: Json) -> None:
    source = {"outputParameterKey": "x", "producerSubtask": "condition-1"}
    spec["components"][MODELS]["dag"]["outputs"]["parameters"]["x"] = {"valueFromParameter": source}


def plant_any_outcome(spec: Json, _: Json) -> None:
    tasks(spec)["promote"]["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}


def plant_any_outcome_with_dependents(spec: Json, _: Json) -> None:
    tasks(spec, MODELS)["train-2"]["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}


def plant_one_of(spec: Json, _: Json) -> None:
    selectors = [{"outputParameterKey": "x", "producerSubtask": name} for name in ("train", "train-2")]
    outputs = {"y": {"valueFromOneof": {"parameterSelectors": selectors}}}
    spec["components"][MODELS]["dag"]["outputs"] = {"parameters": outputs}


def plant_shared_artifact(spec: Json, _: Json) -> None:
    source = {"taskOutputArtifact": {"outputArtifactKey": "metrics", "producerTask": "ingest"}}
    tasks(spec)["for-loop-1"]["inputs"]["artifacts"] = {"a": source, "b": dict(source)}


def plant_list_from_a_plain_task(spec: Json, _: Json) -> None:
    declare(spec, "comp-report", "artifacts", "models", {"isArtifactList": True})
    source = {"taskOutputArtifact": {"outputArtifactKey": "metrics", "producerTask": "ingest"}}
    tasks(spec)["report"]["inputs"]["artifacts"] = {"models": source}


def plant_resource_parameter(spec: Json, _: Json) -> None:
    container(spec)["resources"]["resourceMemoryLimit"] = "{{$.inputs.parameters['pipelinechannel--memory']}}"


def plant_integer_resource(spec: Json, _: Json) -> None:
    container(spec)["resources"]["resourceCpuLimit"] = "{{$.inputs.parameters['pipelinechannel--seed']}}"
    tasks(spec)["ingest"]["inputs"]["parameters"]["pipelinechannel--seed"] = {"componentInputParameter": "seed"}
    declare(spec, "comp-ingest", "parameters", "pipelinechannel--seed", {"parameterType": "NUMBER_INTEGER"})


def plant_importer(spec: Json, _: Json) -> None:
    spec["deploymentSpec"]["executors"]["exec-ingest"] = {"importer": {"artifactUri": {"constant": "gs://b/x"}}}
    tasks(spec)["ingest"]["taskInfo"]["name"] = "my data"


def plant_importer_of_an_output(spec: Json, _: Json) -> None:
    spec["deploymentSpec"]["executors"]["exec-report"] = {"importer": {"artifactUri": {"runtimeParameter": "uri"}}}
    uri = {"taskOutputParameter": {"outputParameterKey": "manifest", "producerTask": "ingest"}}
    tasks(spec)["report"]["inputs"]["parameters"]["uri"] = uri


def plant_many_models(spec: Json, _: Json) -> None:
    root_inputs(spec)["models"]["defaultValue"] = [{"name": f"m{i}"} for i in range(20)]


def plant_huge_input(spec: Json, _: Json) -> None:
    root_inputs(spec)["attributes"]["defaultValue"][0]["classes"] = ["x" * 100] * 1000


PLANTS: list[tuple[int, str, Plant]] = [
    (1, "settings for no executor", lambda s, p: p.update({"exec-ghost": {"activeDeadlineSeconds": "1"}})),
    (1, "an empty second document", lambda s, p: p.clear()),
    (2, "artifact list into a loop", lambda s, p: declare(s, LOOP, "artifacts", "m", {"isArtifactList": True})),
    (3, "parameter not handed on", lambda s, p: inputs_of(s, LOOP).pop("pipelinechannel--seed")),
    (3, "GPU count not handed into a loop", lambda s, p: inputs_of(s, LOOP).pop("pipelinechannel--gpu_count")),
    (4, "unknown node pool parameter", plant_unknown_pool),
    (4, "GPU selector not handed into a loop", lambda s, p: inputs_of(s, MODELS).pop("pipelinechannel--gpu_selector")),
    (5, "resource parameter not given", plant_resource_parameter),
    (5, "resource parameter of a wrong type", plant_integer_resource),
    (5, "GPU count as a number", lambda s, p: root_inputs(s)["gpu_count"].update(parameterType="NUMBER_INTEGER")),
    (6, "two interfaces", lambda s, p: inputs_of(s, "comp-train-2")["seed"].update(parameterType="STRING")),
    (7, "artifact list from a plain task", plant_list_from_a_plain_task),
    (8, "collected from a branch", plant_collected_from_a_branch),
    (9, "one artifact, two names", plant_shared_artifact),
    (10, "no models", lambda s, p: root_inputs(s)["models"].update(defaultValue=[])),
    (11, "after whatever became of three", plant_any_outcome),
    (11, "after whatever, with dependents", plant_any_outcome_with_dependents),
    (12, "cached side effect", lambda s, p: tasks(s)["promote"]["cachingOptions"].update(enableCache=True)),
    (12, "one of two cached branches", plant_one_of),
    (13, "unknown placeholder", lambda s, p: container(s)["args"].append("{{$.pipeline_root}}")),
    (13, "metadata placeholder", lambda s, p: container(s)["args"].append("{{$.inputs.artifacts['m'].metadata['x']}}")),
    (13, "Concat", lambda s, p: container(s)["args"].append('{"Concat": ["a", "b"]}')),
    (13, "no executor input", lambda s, p: container(s).update(args=["--help"])),
    (14, "argument nobody passes", lambda s, p: container(s)["args"].append("{{$.inputs.parameters['nobody']}}")),
    (15, "the launcher's own name", lambda s, p: output_artifacts(s).update({"executor-logs": {}})),
    (15, "one name, two outputs", lambda s, p: output_artifacts(s).update(manifest={})),
    (16, "hidden default", lambda s, p: tasks(s)["ingest"]["inputs"]["parameters"].pop("seed")),
    (17, "latest", lambda s, p: container(s).update(image="registry:5000/seamline/steps-cpu:latest")),
    (17, "no tag, but a port", lambda s, p: container(s).update(image="registry:5000/seamline/steps-cpu")),
    (18, "KFP's default hour", lambda s, p: retry(s).update(backoffMaxDuration="3600s")),
    (19, "importer with a display name", plant_importer),
    (19, "importer of a task's output", plant_importer_of_an_output),
    (20, "cache key", lambda s, p: tasks(s)["ingest"]["cachingOptions"].update(cacheKey="mine")),
    (20, "unbounded GPU loop", lambda s, p: tasks(s, LOOP)["for-loop-2"].pop("iteratorPolicy")),
    (20, "init container", lambda s, p: p["exec-train"].update(initContainers=[{}])),
    (21, "resolver", lambda s, p: s["deploymentSpec"]["executors"]["exec-ingest"].update(resolver={})),
    (21, "artifact iterator", lambda s, p: tasks(s, LOOP)["for-loop-2"].update(artifactIterator={})),
    (21, "task config", lambda s, p: inputs_of(s, "comp-ingest")["seed"].update(parameterType="TASK_CONFIG")),
    (21, "root output", lambda s, p: s["root"].update(outputDefinitions={"parameters": {"x": {}}})),
    (22, "160 iterations", plant_many_models),
    (22, "executor input over 100 kB", plant_huge_input),
    (22, "file over 500 kB", lambda s, p: s["pipelineInfo"].update(description="x" * 500_000)),
    (23, "half an integer", lambda s, p: root_inputs(s)["seed"].update(defaultValue=1.5)),
    (23, "not a number", lambda s, p: root_inputs(s)["round1_learning_rate"].update(defaultValue=float("nan"))),
    (23, "capital letters", lambda s, p: root_inputs(s).update(Seed={"parameterType": "STRING"})),
    (23, "no type", lambda s, p: root_inputs(s)["seed"].pop("parameterType")),
    (24, "GPU without count", lambda s, p: resources(s)["accelerator"].pop("resourceCount")),
    (24, "GPU without toleration", lambda s, p: p["exec-train"].pop("tolerations")),
    (24, "memory as large as shm", lambda s, p: resources(s).update(resourceMemoryLimit="4Gi")),
    (25, "another SDK", lambda s, p: s.update(sdkVersion="kfp-2.16.1")),
    (25, "another schema", lambda s, p: s.update(schemaVersion="2.0.0")),
]  # fmt: skip


@pytest.fixture(scope="module")
def parsed(compiled: Callable[..., str]) -> list[Json]:
    return read(compiled("fashionai")).documents


def findings(parsed: list[Json], plant: Plant) -> list[ir_checks.Finding]:
    documents = copy.deepcopy(parsed)
    plant(documents[0], documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"])
    return ir_checks.findings(Shape(documents, len(json.dumps(documents))))


@pytest.mark.parametrize(("number", "fault", "plant"), PLANTS, ids=[f"{n}-{fault}" for n, fault, _ in PLANTS])
def test_a_planted_fault_is_found_by_its_check(parsed: list[Json], number: int, fault: str, plant: Plant) -> None:
    found = findings(parsed, plant)
    assert number in {finding.check for finding in found}, [str(finding) for finding in found]


def test_the_pipeline_without_a_planted_fault_is_clean(parsed: list[Json]) -> None:
    assert findings(parsed, lambda spec, platform: None) == []


def test_every_check_has_a_planted_fault() -> None:
    assert {number for number, _, _ in PLANTS} == set(ir_checks.CHECKS) == set(range(1, 26))


def test_a_finding_names_the_task_and_the_way_out(parsed: list[Json]) -> None:
    found = findings(parsed, lambda s, p: tasks(s)["ingest"]["inputs"]["parameters"].pop("seed"))
    assert [str(finding) for finding in found] == [
        "check 16, root/ingest.seed: is not passed; pass it, since a default inside the component is not part of "
        "the cache key"
    ]


def test_a_pipeline_of_one_python_component_is_checked_too() -> None:
    spec = {
        "components": {"comp-a": {"executorLabel": "exec-a"}},
        "deploymentSpec": {"executors": {"exec-a": {"container": {"image": "python:3.11", "args": ["{{$}}"]}}}},
        "root": {"dag": {"tasks": {"a": {"componentRef": {"name": "comp-a"}, "taskInfo": {"name": "a"}}}}},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
    }
    assert ir_checks.check(yaml.safe_dump(spec)) == []

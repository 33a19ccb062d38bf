"""Reading IR and the parameters of a run: what is refused, and with which words."""

import json
from typing import Any

import pytest
import yaml

from pipeline.engine import ir, irtext
from pipeline.errors import PipelineError

SPEC: dict[str, Any] = {
    "schemaVersion": "2.1.0",
    "pipelineInfo": {"name": "p"},
    "root": {
        "inputDefinitions": {
            "parameters": {
                "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3.0, "isOptional": True},
                "rate": {"parameterType": "NUMBER_DOUBLE"},
            }
        },
        "dag": {"tasks": {"a": {"componentRef": {"name": "comp-a"}}}},
    },
    "components": {"comp-a": {"executorLabel": "exec-a"}},
    "deploymentSpec": {"executors": {"exec-a": {"container": {"image": "i", "command": ["x"]}}}},
}


def changed(**tasks: Any) -> str:
    spec = json.loads(json.dumps(SPEC))
    spec["root"]["dag"]["tasks"] |= tasks
    return json.dumps(spec)


def test_json_and_yaml_and_a_platform_document_are_read() -> None:
    platform = {
        "platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-a": {"activeDeadlineSeconds": "60"}}}}}
    }
    from_json = irtext.read(json.dumps(SPEC))
    from_yaml = irtext.read(yaml.safe_dump_all([SPEC, platform]))
    assert from_json.root == from_yaml.root
    container = from_yaml.executors["exec-a"]
    assert isinstance(container, ir.Container) and container.timeout_s == 60
    assert from_yaml.platform == platform


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no compiled KFP pipeline"),
        ("{", "neither YAML nor JSON"),
        ("just text", "no compiled KFP pipeline"),
        (json.dumps({"root": {}, "schemaVersion": "1.0"}), "schemaVersion 2.x"),
        (changed(b={"componentRef": {"name": "gone"}}), "uses component gone, which the pipeline lacks"),
        (changed(b={"componentRef": {"name": "comp-a"}, "dependentTasks": ["z"]}), r"depends on \['z'\]"),
        (changed(b={"componentRef": {"name": "comp-a"}, "artifactIterator": {}}), "loops over artifacts"),
        (
            changed(b={"componentRef": {"name": "comp-a"}, "inputs": {"parameters": {"x": {"odd": 1}}}}),
            r"comes from \['odd'\]",
        ),
    ],
)
def test_what_is_no_pipeline_is_refused(text: str, problem: str) -> None:
    with pytest.raises(PipelineError, match=problem):
        irtext.read(text)


def test_all_parameters_that_lack_a_value_are_named_at_once() -> None:
    inputs = {name: {"parameterType": "STRING"} for name in ("a", "b")}
    spec = SPEC | {"root": SPEC["root"] | {"inputDefinitions": {"parameters": inputs}}}
    with pytest.raises(PipelineError, match=r"needs values for a \(STRING\), b \(STRING\)$"):
        irtext.fill_parameters(irtext.read(json.dumps(spec)), {})


def test_parameters_are_completed_and_typed() -> None:
    assert irtext.fill_parameters(irtext.read(json.dumps(SPEC)), {"rate": 1}) == {"epochs": 3, "rate": 1}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"rate": 1, "epoch": 2}, "no parameter 'epoch'; did you mean 'epochs'?"),
        ({}, r"needs a value for parameter rate \(NUMBER_DOUBLE\)"),
        ({"rate": "fast"}, 'input rate got "fast", which is STRING; it takes NUMBER_DOUBLE'),
        ({"rate": 1, "epochs": 1.5}, "takes NUMBER_INTEGER"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(PipelineError, match=problem.replace("?", r"\?")):
        irtext.fill_parameters(irtext.read(json.dumps(SPEC)), given)

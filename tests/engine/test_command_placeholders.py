"""Placeholders of commands: what KFP 2.17 fills, and what it leaves as it is."""

import json

import pytest

from pipeline.engine.placeholders import Surroundings, fill_constant, local_path, resolve_command
from pipeline.engine.values import Artifact, ValueProblem

AROUND = Surroundings(
    parameters={"x": 10, "rate": 0.00001, "text": "a b", "list": ["u"]},
    artifacts={"data": (Artifact("data", "t", "gs://b/one"), Artifact("data", "t", "gs://b/two")), "none": ()},
    outputs={"model": "/out/model"},
    output_files={"score": "/tmp/score"},
    executor_input='{"inputs":{}}',
)


@pytest.mark.parametrize(
    ("arg", "filled"),
    [
        ("{{$}}", ['{"inputs":{}}']),
        ("n={{$.inputs.parameters['x']}}", ["n=10"]),
        ('n={{$.inputs.parameters["rate"]}}', ["n=1e-05"]),
        ("{{$.inputs.parameters['rate']}} {{$.outputs.parameters['score'].output_file}}", ["0.00001 /tmp/score"]),
        ("{{$.inputs.parameters['list']}}", ['["u"]']),
        ("{{$.inputs.artifacts['data'].uri}}", ["gs://b/one"]),
        ("{{$.inputs.artifacts['data'].path}}", ["/gcs/b/one"]),
        ("{{$.inputs.artifacts['none'].path}}", ["{{$.inputs.artifacts['none'].path}}"]),
        ("{{$.outputs.artifacts['model'].path}}", ["/out/model"]),
        ('{"IfPresent": {"InputName": "x", "Then": ["--x", "{{$.inputs.parameters[\'x\']}}"]}}', ["--x", "10"]),
        ('{"IfPresent": {"InputName": "absent", "Then": ["--x"], "Else": "none"}}', ["none"]),
        ('{"IfPresent": {"InputName": "absent", "Then": ["--x"]}}', []),
        ('{"Concat": ["a", "b"]}', ['{"Concat": ["a", "b"]}']),
        ("{{$.inputs.artifacts['data'].metadata['k']}}", ["{{$.inputs.artifacts['data'].metadata['k']}}"]),
        ("{{$.pipeline_job_name}}", ["{{$.pipeline_job_name}}"]),
        ("{{$.outputs.output_file}}", ["{{$.outputs.output_file}}"]),
    ],
)
def test_an_argument_is_filled_as_kfp_fills_it(arg: str, filled: list[str]) -> None:
    assert resolve_command(["run"], [arg], AROUND) == ["run", *filled]


def test_the_first_word_of_a_command_takes_only_the_executor_input() -> None:
    words = resolve_command(["{{$.inputs.parameters['x']}}", "{{$.inputs.parameters['x']}}"], [], AROUND)
    assert words == ["{{$.inputs.parameters['x']}}", "10"]


def test_a_parameter_that_is_not_passed_fails_the_task() -> None:
    with pytest.raises(ValueProblem, match="'absent' is named in the command but the pipeline passes no value"):
        resolve_command(["run"], ["{{$.inputs.parameters['absent']}}"], AROUND)


def test_a_placeholder_inside_the_executor_input_is_filled_after_it() -> None:
    around = Surroundings({"x": "v"}, executor_input=json.dumps({"text": "{{$.inputs.parameters['x']}}"}))
    assert resolve_command(["run"], ["{{$}}"], around) == ["run", '{"text": "v"}']


def test_constants_are_filled_through_lists_and_structs() -> None:
    value = {
        "a": ["{{$.inputs.parameters['x']}}!", 1],
        "b": "{{$.pipeline_job_name}}",
        "c": "x {{$.pipeline_job_name}}",
    }
    names = {"{{$.pipeline_job_name}}": "Tuesday"}
    assert fill_constant(value, {"x": 2}, names) == {"a": ["2!", 1], "b": "Tuesday", "c": "x {{$.pipeline_job_name}}"}


@pytest.mark.parametrize(
    ("uri", "path"), [("gs://b/x", "/gcs/b/x"), ("s3://b/x", "/s3/b/x"), ("/a/b", "/a/b"), ("file:///a", "/a")]
)
def test_a_uri_has_its_local_path(uri: str, path: str) -> None:
    assert local_path(uri) == path

"""What a command leaves behind: read strictly, committed so that a kill at any point changes nothing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import exchange, ir
from pipeline.engine.fingerprint import digest_of_path
from pipeline.engine.values import Artifact, ValueProblem, Values
from pipeline.errors import PipelineError

COMPONENT = ir.Component(
    name="c",
    parameters={"x": ir.Parameter("x", "NUMBER_INTEGER"), "y": ir.Parameter("y", "STRING", True, "default")},
    artifacts={"data": ir.ArtifactSpec("data", "system.Dataset")},
    output_parameters={"n": ir.Parameter("n", "NUMBER_INTEGER")},
    output_artifacts={"page": ir.ArtifactSpec("page", "system.HTML", "0.0.1")},
)


@pytest.fixture
def folder(tmp_path: Path) -> exchange.Folder:
    made = exchange.Folder(tmp_path / "attempt-1")
    made.prepare()
    return made


def collect(folder: exchange.Folder) -> Values:
    return exchange.collect(COMPONENT, folder, folder.path.parent / "artifacts")


def test_the_executor_input_is_kfps(folder: exchange.Folder) -> None:
    data = Artifact("data", "system.Dataset", "/d", {"ok": True, "tags": ["a"], "cfg": {"k": 1}}, "digest")
    message = exchange.executor_input(COMPONENT, Values({"x": 3.0}, {"data": (data,)}), folder)
    assert message["inputs"]["parameterValues"] == {"x": 3, "y": "default"}
    (shown,) = message["inputs"]["artifacts"]["data"]["artifacts"]
    metadata = {"display_name": "data", "ok": 1, "tags": {"list": ["a"]}, "cfg": {"struct": {"k": 1}}}
    assert shown == {"name": "digest", "type": {"instanceSchema": ""}, "uri": "/d", "metadata": metadata}
    (wanted,) = message["outputs"]["artifacts"]["page"]["artifacts"]
    assert wanted["type"] == {"schemaTitle": "system.HTML", "schemaVersion": "0.0.1"}
    assert Path(wanted["uri"]).parent.is_dir() and not Path(wanted["uri"]).exists()
    assert message["outputs"]["parameters"] == {"n": {"outputFile": str(folder.parameter("n"))}}


def test_the_output_file_beats_a_parameters_own_file(folder: exchange.Folder) -> None:
    folder.parameter("n").write_text("1")
    assert collect(folder).parameters == {"n": 1}
    other = exchange.Folder(folder.path.with_name("attempt-2"))
    other.prepare()
    other.parameter("n").write_text("1")
    other.output_file.write_text('{"parameterValues": {"n": 2.0}}')
    assert collect(other).parameters == {"n": 2}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no JSON"),
        ("[]", "holds"),
        ('{"parameterValues": {"n": 1}, "extra": 1}', r"holds \['extra'\]"),
        ('{"parameterValues": {}}', "output parameter n is missing"),
        ('{"parameterValues": {"n": 1}, "artifacts": {"page": {"artifacts": [{"path": "/x"}]}}}', r"has \['path'\]"),
        ('{"parameterValues": {"n": 1}, "artifacts": {"page": {"artifacts": [{"metadata": {"k": null}}]}}}', "null"),
        ('{"parameterValues": {"n": NaN}}', "NaN"),
    ],
)
def test_a_malformed_output_fails_the_task(folder: exchange.Folder, text: str, problem: str) -> None:
    folder.output_file.write_text(text)
    with pytest.raises(ValueProblem, match=problem):
        collect(folder)


def test_an_artifact_moves_to_a_place_named_by_its_bytes(folder: exchange.Folder) -> None:
    folder.output_file.write_text('{"parameterValues": {"n": 1}}')
    folder.artifact("page").write_text("<p>")
    content = digest_of_path(folder.artifact("page"))
    (page,) = collect(folder).artifacts["page"]
    assert page.uri == str(folder.path.parent / "artifacts" / content / "page.html")
    assert Path(page.uri).read_text() == "<p>"


def test_an_artifact_that_was_not_written_is_registered_with_its_metadata(folder: exchange.Folder) -> None:
    body = {"parameterValues": {"n": 1}, "artifacts": {"page": {"artifacts": [{"metadata": {"acc": 1.0}}]}}}
    folder.output_file.write_text(json.dumps(body))
    outputs = collect(folder)
    assert outputs.artifacts["page"][0].metadata == {"acc": 1}
    assert exchange.outputs_exist(outputs)


def test_committing_again_after_a_kill_changes_nothing(
    folder: exchange.Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.output_file.write_text('{"parameterValues": {"n": 1}}')
    folder.artifact("page").write_text("<p>")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            collect(folder)
    first = collect(folder)
    assert not folder.artifact("page").exists()
    assert collect(folder) == first
    assert Path(first.artifacts["page"][0].uri).read_text() == "<p>"


def test_folders_lose_empty_folders_and_links_become_files(folder: exchange.Folder, tmp_path: Path) -> None:
    folder.output_file.write_text('{"parameterValues": {"n": 1}}')
    (tmp_path / "elsewhere").write_text("E")
    (folder.artifact("page") / "empty" / "deep").mkdir(parents=True)
    (folder.artifact("page") / "link").symlink_to(tmp_path / "elsewhere")
    (page,) = collect(folder).artifacts["page"]
    found = [p.relative_to(page.uri).as_posix() for p in Path(page.uri).rglob("*")]
    assert found == ["link"] and not (Path(page.uri) / "link").is_symlink()


def test_a_link_to_a_folder_fails_the_task(folder: exchange.Folder, tmp_path: Path) -> None:
    folder.output_file.write_text('{"parameterValues": {"n": 1}}')
    folder.artifact("page").mkdir()
    (folder.artifact("page") / "link").symlink_to(tmp_path)
    with pytest.raises(PipelineError, match="is a link to a folder"):
        collect(folder)


def test_the_digest_of_a_folder_depends_on_names_and_bytes_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "f").write_text("x")
    (tmp_path / "b" / "sub" / "f").chmod(0o600)
    assert digest_of_path(tmp_path / "a") == digest_of_path(tmp_path / "b")
    (tmp_path / "b" / "sub" / "f").rename(tmp_path / "b" / "f")
    assert digest_of_path(tmp_path / "a") != digest_of_path(tmp_path / "b")


def test_a_custom_path_is_taken_and_a_remote_uri_is_only_recorded(folder: exchange.Folder) -> None:
    own = folder.path / "elsewhere.html"
    own.write_text("own")
    told = {"page": {"artifacts": [{"customPath": str(own)}]}}
    folder.output_file.write_text(json.dumps({"parameterValues": {"n": 1}, "artifacts": told}))
    assert Path(collect(folder).artifacts["page"][0].uri).read_text() == "own"
    other = exchange.Folder(folder.path.with_name("attempt-2"))
    other.prepare()
    told = {"page": {"artifacts": [{"uri": "gs://bucket/page"}]}}
    other.output_file.write_text(json.dumps({"parameterValues": {"n": 1}, "artifacts": told}))
    assert collect(other).artifacts["page"][0].uri == "gs://bucket/page"

"""A step is entered the same way by hand and from a pipeline, and reports what KFP reads back."""

import errno
import json
from dataclasses import dataclass
from types import ModuleType

import pytest

from components import entry
from components.entry import Summary
from components.errors import DataError, SettingsError, Unreachable
from components.knobs import given, knob


@dataclass(frozen=True)
class Inputs:
    data_root: str = given("where references live")
    attribute: dict = given("the attribute of this loop", default={})
    model: dict = given("the model of this loop", default={})
    phase: str = given("which training this is", default="round1")


@dataclass(frozen=True)
class Settings:
    epochs: int = knob(10, "passes", at_least=1)
    warmup: int = knob(0, "of them slow")

    def contradiction(self):
        return f"warmup={self.warmup} exceeds epochs={self.epochs}; lower it" if self.warmup > self.epochs else ""


@pytest.fixture
def settings():
    module = ModuleType("components.fake.settings", "A step of this test.")
    module.Inputs, module.Settings = Inputs, Settings
    module.RESULTS = {"checkpoint": "reference of the weights"}
    module.ARTIFACTS = {"curves": ("HTML", "learning curves"), "metrics": ("Metrics", "numbers")}
    return module


def message(tmp_path, **values):
    artifacts = {
        name: {"artifacts": [{"name": name, "uri": f"{tmp_path}/artifacts/{name}"}]}
        for name in ("curves", "metrics", "executor-logs")
    }
    outputs = {"outputFile": f"{tmp_path}/deep/output_metadata.json", "artifacts": artifacts}
    return json.dumps({"inputs": {"parameterValues": values}, "outputs": outputs})


def work(settings, inputs, outputs):
    outputs.write_text("curves", "<p>")
    return Summary({"checkpoint": f"{inputs.data_root}/checkpoints/{settings.epochs}"}, {"metrics": {"map": 0.5}})


def test_a_pipeline_run_writes_the_executor_output_file_and_the_artifacts(settings, tmp_path):
    entry.main(settings, work, ["--executor-input", message(tmp_path, data_root="d", epochs=3.0, cpu_limit="2")])
    assert json.loads((tmp_path / "deep/output_metadata.json").read_text()) == {
        "parameterValues": {"checkpoint": "d/checkpoints/3"},
        "artifacts": {"metrics": {"artifacts": [{"metadata": {"map": 0.5}}]}},
    }
    assert (tmp_path / "artifacts/curves").read_text() == "<p>"


def test_the_same_step_runs_by_hand(settings, tmp_path, capsys):
    entry.main(settings, work, ["--data-root", "d", "--epochs", "4", "--out", str(tmp_path)])
    assert json.loads(capsys.readouterr().out)["results"] == {"checkpoint": "d/checkpoints/4"}
    assert (tmp_path / "curves").exists()


def test_a_model_overrides_its_attribute_which_overrides_the_knobs_for_all(settings):
    attribute, model = {"name": "skirt", "fake": {"epochs": 5}}, {"name": "big", "round2": {"epochs": 7}}
    values = {"data_root": "d", "epochs": 3, "attribute": attribute, "model": model}
    assert entry.resolve(settings, values)[1].epochs == 5
    assert entry.resolve(settings, values | {"phase": "round2"})[1].epochs == 7


def test_knobs_that_contradict_each_other_are_refused_as_they_are_in_the_end(settings):
    values = {"data_root": "d", "warmup": 12, "model": {"round2": {"epochs": 15}}}
    with pytest.raises(SettingsError, match=r"fake\.warmup=12 exceeds epochs=10; lower it"):
        entry.resolve(settings, values)
    assert entry.resolve(settings, values | {"phase": "round2"})[1].epochs == 15


def test_an_unknown_override_is_refused_with_the_nearest_name(settings, tmp_path, capsys):
    values = message(tmp_path, data_root="d", attribute={"fake": {"epoch": 5}})
    with pytest.raises(SystemExit) as ended:
        entry.main(settings, work, ["--executor-input", values])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: fake.epoch is not a setting; did you mean epochs?\n"


def test_data_that_the_user_can_mend_ends_with_one_line_and_exit_code_2(settings, tmp_path, capsys):
    def refuse(*_):
        raise DataError("no pictures in round1; check the address")

    with pytest.raises(SystemExit) as ended:
        entry.main(settings, refuse, ["--data-root", "d", "--out", str(tmp_path)])
    assert (ended.value.code, capsys.readouterr().err) == (2, "error: no pictures in round1; check the address\n")


def test_a_step_that_reports_other_results_than_it_declares_is_a_bug(settings, tmp_path):
    with pytest.raises(RuntimeError, match="declare"):
        entry.main(settings, lambda *_: Summary({"other": "x"}), ["--data-root", "d", "--out", str(tmp_path)])


def test_the_fingerprint_of_a_task_does_not_depend_on_where_the_data_lies():
    here, there = Inputs(data_root="/a"), Inputs(data_root="gs://b")
    assert entry.fingerprint("fake", here, Settings()) == entry.fingerprint("fake", there, Settings())
    assert entry.fingerprint("fake", here, Settings(3)) != entry.fingerprint("fake", here, Settings())


@dataclass(frozen=True)
class Referring:
    data_root: str
    shards: str
    teachers: list


def test_references_below_the_data_root_do_not_say_where_it_lies_either():
    def named(root: str, digest: str = "2") -> str:
        inputs = Referring(root, f"{root}/shards/1", [f"{root}/predictions/{digest}", "elsewhere/3"])
        return entry.fingerprint("fake", inputs, Settings())

    assert named("/a") == named("gs://b/c") != named("/a", digest="4")


@pytest.mark.parametrize(
    ("uri", "path"),
    [("gs://b/x", "/gcs/b/x"), ("minio://b/x", "/minio/b/x"), ("/tmp/x", "/tmp/x"), ("file:///x", "/x")],
)
def test_artifacts_are_written_where_kfp_mounts_them(settings, tmp_path, monkeypatch, uri, path):
    assert str(entry._local(uri)) == path


def test_help_names_every_knob_and_input(settings, capsys):
    with pytest.raises(SystemExit):
        entry.main(settings, work, ["--help"])
    shown = capsys.readouterr().out
    assert all(flag in shown for flag in ("--data-root", "--attribute", "--epochs", "passes"))


def test_a_service_that_does_not_answer_is_one_line_and_exit_code_75(settings, tmp_path, capsys):
    def run(*_):
        raise Unreachable("gs://b/a: no answer within 300 s (503); try again later")

    with pytest.raises(SystemExit) as ended:
        entry.main(settings, run, ["--executor-input", message(tmp_path, data_root="d")])
    assert ended.value.code == 75
    assert capsys.readouterr().err == "error: gs://b/a: no answer within 300 s (503); try again later\n"


def test_a_full_disk_is_one_line_and_exit_code_1(settings, tmp_path, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "/data/x")

    with pytest.raises(SystemExit) as ended:
        entry.main(settings, full, ["--data-root", str(tmp_path), "--out", str(tmp_path)])
    assert (ended.value.code, capsys.readouterr().err) == (
        1,
        "error: /data/x: No space left on device; make room and try again\n",
    )


def test_an_interrupted_step_is_one_line_and_exit_code_130(settings, tmp_path, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        entry.main(settings, interrupted, ["--data-root", "d", "--out", str(tmp_path)])
    assert (ended.value.code, capsys.readouterr().err) == (130, "error: interrupted\n")


def test_any_other_system_error_keeps_its_traceback(settings, tmp_path):
    def broken(*_):
        raise FileNotFoundError(errno.ENOENT, "No such file", "/data/x")

    with pytest.raises(FileNotFoundError):
        entry.main(settings, broken, ["--data-root", str(tmp_path), "--out", str(tmp_path)])

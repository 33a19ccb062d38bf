"""Recipes of the detection pipeline on the command line: every command that starts a run knows where its data lies."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipeline import local, recipe, remote_command, show
from pipeline.cli import main
from pipeline.engine.records import Run, Task
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.values import Artifact, Values
from pipeline.errors import PipelineError, RecipeError
from pipeline.remote import Endpoint
from pipeline.running import Outcome


class Tasks:
    """A reader of the tasks of one run."""

    def __init__(self, *found: Task) -> None:
        self._found = list(found)

    def tasks(self, run_id: str) -> list[Task]:
        return self._found


def judged(page: Path, ap50: str, split: str = "test", **interval: float) -> Task:
    artifacts = {"page": (Artifact("page", "system.HTML", str(page)),)}
    artifacts |= {"metrics": (Artifact("metrics", "system.Metrics", "m", metadata={"precision": 0.5} | interval),)}
    return Task(
        "r", "detect-test", "detect-test", "detect-test", "task", "", "comp", TaskState.SUCCEEDED,
        inputs=Values({"split": split}), outputs=Values({"ap50": ap50}, artifacts),
    )  # fmt: skip


def test_a_data_set_that_is_drawn_is_one_folder_and_found_again(tmp_path: Path) -> None:
    read = recipe.load("boats_demo", ["data.images=60"])
    first, answers = local.prepare(read, "", tmp_path)
    files = {path.name for path in Path(first["source"]).iterdir()}
    assert {*read.groups["openimages_subset"].boxes_csv, read.groups["transfer"].mirror} <= files
    assert local.prepare(read, "", tmp_path) == (first, answers) and answers == ""
    assert first["data_root"] == str(tmp_path / "data") and local.left_out(read, first) == []


def test_a_folder_that_is_given_counts_before_the_data_set(tmp_path: Path) -> None:
    given, _ = local.prepare(recipe.load("boats_demo"), str(tmp_path), tmp_path / "state")
    assert given["source"] == str(tmp_path)
    told = recipe.load("boats", [f"data.source={tmp_path}"])
    assert local.prepare(told, "", tmp_path / "state")[0]["source"] == str(tmp_path)


def files_of(folder: Path) -> Path:
    """A folder with the files that `boats_demo` names."""
    subset = recipe.load("boats_demo").groups["openimages_subset"]
    (folder / "mirror").mkdir(parents=True)
    for name in (*subset.boxes_csv, *subset.images_csv, subset.classes_csv, subset.hierarchy_json, "mirror/1.jpg"):
        (folder / name).write_text(f"first {name}")
    return folder


def digests(folder: Path, *overrides: str) -> dict[str, str]:
    given, _ = local.prepare(recipe.load("boats_demo", list(overrides)), str(folder), folder / ".state")
    return {name.removesuffix("_files_digest"): value for name, value in given.items() if name.endswith("digest")}


@pytest.mark.parametrize(
    ("changed", "groups"),
    [
        ("train-annotations-bbox.csv", {"openimages_subset"}),
        ("bbox_labels_600_hierarchy.json", {"openimages_subset"}),
        ("mirror/1.jpg", {"transfer"}),
        ("masks.csv", {"boxes_prepare"}),
        ("start.weights", {"detect_train"}),
        ("train.log", {"detect_test"}),
        ("notes.txt", set()),
    ],
)
def test_other_bytes_under_the_same_name_are_noticed_by_who_reads_them(
    tmp_path: Path, changed: str, groups: set[str]
) -> None:
    folder = files_of(tmp_path / "data")
    named = {"boxes_prepare.masks": "masks.csv", "detect_train.weights": folder / "start.weights"}
    named |= {"detect_test.log": folder / "train.log"}
    for name in ("masks.csv", "start.weights", "train.log", "notes.txt"):
        (folder / name).write_text("first")
    overrides = [f"{knob}={value}" for knob, value in named.items()]
    before = digests(folder, *overrides)
    assert all(before.values()) and digests(folder, *overrides) == before
    (folder / changed).write_text("second")
    after = digests(folder, *overrides)
    assert {group for group in after if after[group] != before[group]} == groups


def test_the_same_files_elsewhere_are_the_same(tmp_path: Path) -> None:
    assert digests(files_of(tmp_path / "here")) == digests(files_of(tmp_path / "there"))


def test_what_is_on_the_web_or_missing_has_no_digest(tmp_path: Path) -> None:
    given, _ = local.prepare(recipe.load("boats", ["detect_train.weights=/nowhere/w"]), "", tmp_path)
    assert {value for name, value in given.items() if name.endswith("_files_digest")} == {""}


def test_the_real_recipe_needs_no_folder_and_refuses_one_that_is_not_there(tmp_path: Path) -> None:
    assert local.prepare(recipe.load("boats"), "", tmp_path)[0]["source"] == ""
    assert local.prepare(recipe.load("boats"), "gs://bucket/tables", tmp_path)[0]["source"] == "gs://bucket/tables"
    with pytest.raises(RecipeError, match="nowhere is no folder of this machine; give the one"):
        local.prepare(recipe.load("boats"), str(tmp_path / "nowhere"), tmp_path)


def test_the_command_compiles_it(tmp_path: Path) -> None:
    target = tmp_path / "boats.yaml"
    done = CliRunner().invoke(main, ["compile", "boats", "-o", str(target)])
    assert done.exit_code == 0, done.output
    first = next(yaml.safe_load_all(target.read_text()))
    assert first["pipelineInfo"]["name"] == "boats" and "source" in first["root"]["inputDefinitions"]["parameters"]
    assert "data_root=gs://BUCKET/data" in done.output and "rounds=" not in done.output


def test_it_cannot_be_watched_and_says_so_in_one_line(tmp_path: Path) -> None:
    asked = ["watch", str(tmp_path), "--recipe", "boats_demo", "--once", "--state", str(tmp_path / "state")]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 2 and done.output.count("\n") == 1
    assert 'boats_demo cannot be watched: pipeline="detection" promotes no champion; use `seamline run`' in done.output


def test_a_folder_of_this_machine_is_not_sent_to_another_one() -> None:
    far, here = Endpoint("https://kfp.example"), {"data_root": "gs://b/data", "source": "/home/me/tables"}
    with pytest.raises(PipelineError, match="/home/me/tables is a path of this machine"):
        remote_command.refuse_local_paths(far, here)
    remote_command.refuse_local_paths(far, here | {"source": ""})
    remote_command.refuse_local_paths(far, here, shared=True)


def test_what_the_run_came_to_is_told_without_a_submission(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert local.results(Tasks(judged(page, "0.9")), "r") is None  # type: ignore[arg-type]
    page.write_text("<html>")
    found = local.results(Tasks(judged(page, "0.9123")), "r")  # type: ignore[arg-type]
    assert found and show.score_in_words(found) == "AP50 0.912" and found.scores == {"precision": 0.5}
    outcome = Outcome(Run("r" * 32, "boats", "boats", RunState.SUCCEEDED), (), found, None, 6, 0)
    assert f"test         AP50 0.912\nreport       {page}" in outcome.text() and "submission" not in outcome.text()
    assert outcome.as_json()["submission"] is None and outcome.as_json()["report"] == str(page)


def test_what_the_run_came_to_has_its_interval(tmp_path: Path) -> None:
    (page := tmp_path / "page.html").write_text("<html>")
    found = local.results(Tasks(judged(page, "0.9123", ap50_low=0.87, ap50_high=0.95)), "r")  # type: ignore[arg-type]
    assert found and show.score_in_words(found) == "AP50 0.912 (0.870 to 0.950)"


def test_a_test_that_had_no_boxes_has_no_score(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>")
    found = local.results(Tasks(judged(tmp_path / "page.html", "nan")), "r")  # type: ignore[arg-type]
    assert found and found.headline is None and show.score_in_words(found) == ""

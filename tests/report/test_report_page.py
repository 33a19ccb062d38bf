"""The step report as a whole: the reference, its files, the page."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from components import entry
from components.artifacts import reference
from components.errors import DataError
from components.report import settings, step


def report(world: Any, knobs: dict[str, Any] | None = None, **changed: Any) -> tuple[str, Path, entry.Summary]:
    given = {
        "manifest": world.manifest(),
        "ensembles": world.ensembles(),
        "rounds": world.rounds,
        "data_root": world.data_root,
        "seed": 0,
    }
    out = world.root / "out"
    out.mkdir(exist_ok=True)
    outputs = entry.Outputs({name: out / name for name in settings.ARTIFACTS}, "")
    chosen = settings.Settings(**({"resamples": 100} | (knobs or {})))
    summary = step.run(chosen, settings.Inputs(**(given | changed)), outputs)
    return summary.results["report"], out, summary


@dataclass(frozen=True)
class Told:
    """One finished report that several tests only look at."""

    world: Any
    uri: str
    out: Path
    summary: entry.Summary

    @property
    def text(self) -> str:
        return (self.out / "report_page").read_text()


@pytest.fixture(scope="module")
def told(make_world: Any, tmp_path_factory: pytest.TempPathFactory) -> Told:
    world = make_world(tmp_path_factory.mktemp("told"))
    return Told(world, *report(world))


class Page(HTMLParser):
    """Collects what a page refers to, its headings, pictures and ids; refuses tags that do not close."""

    VOID = {"meta", "img", "link", "br", "circle", "path"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, dict(attrs))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, dict(attrs))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def _note(self, tag: str, attrs: dict[str, str | None]) -> None:
        self.tags.add(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        for name, into in (("src", self.sources), ("href", self.links), ("id", self.ids)):
            if attrs.get(name):
                into.append(str(attrs[name]))
        if tag == "img":
            assert attrs.get("alt"), "a picture without words"


def test_the_reference_holds_the_five_files_and_says_what_it_covers(told: Told) -> None:
    names = {"submission.csv", "scores.json", "label_issues.parquet", "questions_answers.parquet", "report.html"}
    assert names <= {p.name for p in Path(told.uri).iterdir()}
    content = reference.read_index(told.uri, "reports")
    assert set(content["ensembles"]) == set(told.world.classes)
    assert content["total"]["map"]["low"] <= content["total"]["map"]["value"] <= content["total"]["map"]["high"]


def test_the_same_inputs_give_the_same_reference_in_another_place(tmp_path: Path, world: Any) -> None:
    elsewhere = type(world)(tmp_path / "elsewhere")
    assert Path(report(world)[0]).name == Path(report(elsewhere)[0]).name


def test_the_submission_answers_every_question_once_in_question_order(told: Told) -> None:
    rows = list(csv.reader((told.out / "submission").open()))
    frame = pd.read_parquet(Path(told.world.manifest()) / "manifest.parquet")
    asked = frame[frame["kind"] == "test"]
    assert [(r[0], r[1]) for r in rows] == list(zip(asked["image_id"], asked["attribute"], strict=True))
    assert all(re.fullmatch(r"\d\.\d{8}(;\d\.\d{8})+", r[2]) for r in rows)
    assert (told.out / "submission").read_bytes() == (Path(told.uri) / "submission.csv").read_bytes()


def test_a_subset_of_attributes_is_written_and_the_rest_is_said(world: Any) -> None:
    uri, out, _ = report(world, ensembles=[world.ensemble("sleeve_length_labels")])
    rows = list(csv.reader((out / "submission").open()))
    assert {r[1] for r in rows} == {"sleeve_length_labels"} and len(rows) == world.counts[2]
    assert "collar_design_labels" in (out / "report_page").read_text().split("</header>")[0]
    assert reference.read_index(uri, "reports")["unanswered"] == ["collar_design_labels"]


def test_a_question_without_answer_is_an_error_that_names_it(world: Any) -> None:
    valid, test = world.answers("sleeve_length_labels", 3)
    about = {"attribute": "sleeve_length_labels", "classes": world.classes["sleeve_length_labels"]}
    broken = world.write_ensemble(pd.concat([valid, test.iloc[1:]]), about)
    with pytest.raises(DataError, match=re.escape(test["image_id"].iloc[0])):
        report(world, ensembles=[broken])


def test_two_ensembles_of_one_attribute_are_refused(world: Any) -> None:
    uri = world.ensemble("sleeve_length_labels")
    with pytest.raises(DataError, match="two ensembles"):
        report(world, ensembles=[uri, uri])


def test_no_ensemble_at_all_is_refused(world: Any) -> None:
    with pytest.raises(DataError, match="ensembles is empty"):
        report(world, ensembles=[])


def test_probabilities_that_do_not_fit_the_classes_are_refused(world: Any) -> None:
    valid, test = world.answers("sleeve_length_labels", 3)
    broken = world.write_ensemble(
        pd.concat([valid, test]), {"attribute": "sleeve_length_labels", "classes": ["a", "b"]}
    )
    with pytest.raises(DataError, match="2 probabilities"):
        report(world, ensembles=[broken])


def test_the_page_is_one_file_without_outside_requests_or_script(told: Told) -> None:
    page = Page(told.text)
    assert page.sources and all(s.startswith("data:image/jpeg;base64,") for s in page.sources)
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert "url(" not in (Path(step.__file__).parent / "page.css").read_text()


def test_headings_go_down_one_level_at_a_time(told: Told) -> None:
    levels = Page(told.text).headings
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


def test_a_stage_that_gained_nothing_is_shown_as_noise(told: Told) -> None:
    row = next(line for line in told.text.splitlines() if ">round 2 + views</th>" in line)
    assert "noise" in row and "+0.0014" in row and "−0.0021 to +0.0049" in row
    assert "gain" not in row and "loss" not in row


def test_no_difference_stands_in_a_row_without_its_interval(told: Told) -> None:
    row = next(line for line in told.text.splitlines() if ">round 2</th>" in line)
    for difference, interval in (("+0.0210", "+0.0090 to +0.0340"), ("+0.0290", "+0.0100 to +0.0500")):
        assert f">{difference}</td>" in row and f">{interval}</td>" in row


def test_many_classes_are_told_by_the_pairs_confused_most_and_one_row_each(make_world: Any, tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.classes = {"many_labels": [f"class {i}" for i in range(45)]}
    page = (report(world)[1] / "report_page").read_text()
    table = page.split('<table class="confusion">')[1].split("</table>")[0]
    assert table.count("<tr>") == 46 and table.count("<td") == 45 * 3
    assert "45 classes are too many for a table of all pairs" in page
    assert 'aria-label="Most confused classes of many_labels"' in page


def test_the_choices_behind_the_ensemble_are_shown_with_their_verdicts(told: Told) -> None:
    text = told.text
    lines = {name: line for line in text.splitlines() for name in ("greedy", "students") if f">{name} against" in line}
    assert "noise" in lines["greedy"] and "loss" in lines["students"]
    assert "+0.6100" in text and "students and teachers together" in text


def test_an_ensemble_that_says_only_what_it_must_is_reported_too(world: Any) -> None:
    valid, test = world.answers("sleeve_length_labels", 3)
    about = {"attribute": "sleeve_length_labels", "classes": world.classes["sleeve_length_labels"]}
    bare = world.write_ensemble(pd.concat([valid, test]), about, pd.DataFrame({"attribute": []}))
    text = report(world, ensembles=[bare])[1].joinpath("report_page").read_text()
    assert "What each stage added" not in text and "Learning curves" not in text


def test_learning_curves_follow_the_lineage_to_the_first_round(told: Told) -> None:
    assert "loss of small by epoch: round1 then round2" in told.text
    assert "loss of wide by epoch: round1 then student" in told.text


def test_a_parent_that_is_gone_is_said_and_stops_nothing(world: Any) -> None:
    ensemble = world.ensemble("sleeve_length_labels", inputs=["0" * 32])
    text = report(world, ensembles=[ensemble])[1].joinpath("report_page").read_text()
    assert "no longer there" in text


def test_pictures_stop_where_the_room_ends_and_the_best_of_every_grid_come_first(world: Any) -> None:
    whole = Page(report(world)[1].joinpath("report_page").read_text()).sources
    room = sum(map(len, whole)) // 2
    some = Page(report(world, {"picture_kilobytes": room // 1000})[1].joinpath("report_page").read_text())
    assert 0 < sum(map(len, some.sources)) <= room
    none = report(world, {"picture_kilobytes": 0})[1].joinpath("report_page").read_text()
    assert Page(none).sources == []


def test_a_picture_that_is_missing_leaves_its_place_not_an_error(world: Any) -> None:
    rounds = [r | {"uri": r["uri"] + "-gone"} for r in world.rounds]
    text = report(world, rounds=rounds)[1].joinpath("report_page").read_text()
    assert Page(text).sources == [] and "no picture" in text


def test_a_name_with_markup_in_it_is_shown_as_text(world: Any) -> None:
    world.classes["collar_design_labels"][1] = "<script>x</script>"
    assert "script" not in Page(report(world)[1].joinpath("report_page").read_text()).tags


def test_the_questions_table_holds_more_than_the_page(world: Any) -> None:
    uri, _, _ = report(world, {"grid_pictures": 1, "per_question": 5})
    table = pq.read_table(Path(uri) / "questions_answers.parquet").to_pandas()
    assert table["rank"].max() == 5
    assert set(table["question"]) == {"most_confident", "least_confident", "confidently_wrong"}


def test_scores_and_metrics_artifact_tell_the_same(told: Told) -> None:
    scores = json.loads((Path(told.uri) / "scores.json").read_text())
    assert told.summary.metadata["metrics"]["map"] == scores["total"]["map"]["value"]
    assert told.summary.metadata["submission"] == {"reference": told.uri, "rows": 2 * told.world.counts[2]}


def test_neither_times_nor_places_of_this_machine_stand_in_any_file(told: Told) -> None:
    for path in Path(told.uri).iterdir():
        assert str(told.world.root).encode() not in path.read_bytes(), path.name


def test_a_run_on_all_data_has_nothing_to_validate_on_and_says_so(world: Any) -> None:
    world.counts = (0, 20, 12)
    uri, out, summary = report(world)
    page = (out / "report_page").read_text()
    assert "Undefined:" in page and ">nan" not in page and "None" not in page.replace('<p class="lead">None', "")
    assert len(list(csv.reader((out / "submission").open()))) == 24
    assert summary.metadata["metrics"] == {}
    assert json.loads((Path(uri) / "scores.json").read_text())["total"]["map"]["value"] is None


def test_the_step_runs_from_the_message_that_kfp_hands_over(world: Any) -> None:
    out = world.root / "task"
    given = {"manifest": world.manifest(), "ensembles": world.ensembles(), "rounds": world.rounds, "seed": 0.0}
    artifacts = {n: {"artifacts": [{"uri": str(out / n)}]} for n in settings.ARTIFACTS}
    message = {
        "inputs": {"parameterValues": given | {"data_root": world.data_root, "resamples": 100.0}},
        "outputs": {"artifacts": artifacts, "outputFile": str(out / "executor_output.json")},
    }
    command = [sys.executable, "-m", "components.report", "--executor-input", json.dumps(message)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], capture_output=True)
    told = json.loads((out / "executor_output.json").read_text())
    assert reference.read_index(told["parameterValues"]["report"], "reports")
    assert told["artifacts"]["metrics"]["artifacts"][0]["metadata"]["map"] > 0.5
    assert (out / "report_page").read_text().startswith("<!doctype html>")

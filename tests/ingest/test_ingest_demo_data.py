"""Ingest finds every quirk that the demo data set's own book says was planted, and no other."""

import json
from collections import Counter
from pathlib import Path

import pytest

from components.ingest.rows import category
from pipeline.datasets import demo

ATTRIBUTES = ("collar_design_labels", "sleeve_length_labels")


@pytest.fixture(scope="module")
def drawn_demo(tmp_path_factory):
    return demo.draw(tmp_path_factory.mktemp("data") / "demo", seed=3, images=80, attributes=ATTRIBUTES)


@pytest.fixture
def result(drawn_demo, ingest):
    rounds = [type("Round", (), {"struct": struct}) for struct in drawn_demo.rounds]
    return ingest(*rounds, attributes=drawn_demo.attributes)


@pytest.fixture(scope="module")
def book(drawn_demo):
    return json.loads((drawn_demo.folder / "quirks.json").read_text())


def test_every_faulty_row_is_refused_for_its_own_reason(result, book):
    counts = Counter(map(category, result.rejected.reason))
    planted = book["counts"]
    assert counts == {
        "wrong length": planted["wrong_length_label"],
        "more than one y": planted["two_y"],
        "no y": planted["no_y"],
        "missing file": planted["missing_file"],
        "truncated JPEG": planted["truncated"],
        "empty file": planted["zero_byte"],
        "not an image": planted["text_named_jpg"],
    }


def test_every_planted_duplicate_is_found_and_nothing_else(result, book):
    number = {Path(uri).name: i for i, uri in enumerate(("base", "round2"), 1)}
    group = {(row.round, row.path): row.group for row in result.rows.itertuples()}
    kinds = ["exact_duplicates", "near_duplicates", "across_rounds", "across_attributes"]
    kinds += ["train_test_duplicates", "fuzzy_conflicts", "real_conflicts"]
    planted = [[(number[r], path) for r, path in places] for kind in kinds for places in book["where"][kind]]
    assert all(len({group[place] for place in places}) == 1 for places in planted)
    assert result.metrics["duplicate_groups"] == len({group[places[0]] for places in planted})
    assert result.metrics["near_duplicates"] == book["counts"]["near_duplicates"]


def test_fuzzy_conflicts_merge_and_real_ones_fall(result, book):
    assert result.metrics["conflicts_merged"] == book["counts"]["fuzzy_conflicts"]
    assert result.metrics["conflicts_real"] == book["counts"]["real_conflicts"]
    assert result.metrics["test_leaks"] == book["counts"]["train_test_duplicates"]


def test_every_question_is_there_in_its_order(result, drawn_demo, book):
    questions = Path(drawn_demo.rounds[-1]["uri"], "Tests/question.csv").read_text().splitlines()
    asked = result.rows[result.rows.kind == "test"]
    assert [f"{row.image_id},{row.attribute}," for row in asked.itertuples()] == questions
    assert result.metrics["test_without_picture"] == book["counts"]["truncated_question"]


def test_odd_pictures_are_read_and_reported(result, book):
    planted = book["counts"]
    assert f"{planted['cmyk']} pictures: CMYK" in result.page
    assert f"{planted['grey']} pictures: grey" in result.page
    assert f"{planted['alpha_png_named_jpg']} pictures: alpha (compared on grey)" in result.page
    assert "wrong extension: a PNG called .jpg" in result.page
    turned = planted["exif_rotated"] + planted["exif_upside_down"]
    assert f"{turned} pictures: turned upright by EXIF orientation" in result.page

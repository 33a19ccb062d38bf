"""The drawn data set: what `quirks.json` says is true of the files, and a seed decides every byte."""

import csv
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.datasets import demo
from pipeline.datasets.dataset import DataSet
from pipeline.datasets.wardrobe import ATTRIBUTES, example, label_string
from pipeline.errors import Conflict, PipelineError

IMAGES = 60


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return demo.draw(tmp_path_factory.mktemp("demo") / "data", seed=3, images=IMAGES)


@pytest.fixture(scope="module")
def book(drawn: DataSet) -> dict:
    return json.loads((drawn.folder / demo.QUIRKS).read_text())


def rows(drawn: DataSet, round_: str, file: str = "Annotations/label.csv") -> list[list[str]]:
    with (drawn.folder / round_ / file).open(newline="") as lines:
        return list(csv.reader(lines))


def labels(drawn: DataSet) -> dict[tuple[str, str], str]:
    found = {(r, row[0]): row[2] for r in (demo.BASE, demo.ROUND2) for row in rows(drawn, r)}
    return found | {(demo.ROUND2, row[0]): row[2] for row in rows(drawn, "", "answers.csv")}


def pixels(drawn: DataSet, place: list[str]) -> np.ndarray:
    with Image.open(drawn.folder / place[0] / place[1]) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def tree_digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    total = hashlib.sha256()
    for path in files:
        total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return total.hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(drawn: DataSet, tmp_path: Path) -> None:
    again = demo.draw(tmp_path / "again", seed=3, images=IMAGES)
    other = demo.draw(tmp_path / "other", seed=4, images=IMAGES)
    assert tree_digest(again.folder) == tree_digest(drawn.folder)
    assert tree_digest(other.folder) != tree_digest(drawn.folder)


def test_round_1_has_three_columns_and_round_2_four(drawn: DataSet) -> None:
    assert {len(row) for row in rows(drawn, demo.BASE)} == {3}
    assert {len(row) for row in rows(drawn, demo.ROUND2)} == {4}
    assert [r["name"] for r in drawn.rounds] == ["round1", "round2"]


def test_answers_name_exactly_the_questions_in_their_order(drawn: DataSet) -> None:
    questions = rows(drawn, demo.ROUND2, "Tests/question.csv")
    answers = rows(drawn, "", "answers.csv")
    assert [q[:2] for q in questions] == [a[:2] for a in answers]
    assert {q[2] for q in questions} == {""}
    assert len(questions) == IMAGES // 3 * len(ATTRIBUTES)


def test_every_sound_row_has_a_valid_label_and_a_picture(drawn: DataSet, book: dict) -> None:
    faulty = {tuple(p) for q in ("two_y", "no_y", "wrong_length_label") for group in book["where"][q] for p in group}
    counts = {a: len(about.classes) for a, about in ATTRIBUTES.items()}
    for (round_, path), label in labels(drawn).items():
        sound = len(label) == counts[path.split("/")[1]] and label.count("y") == 1 and set(label) <= set("ymn")
        assert sound == ((round_, path) not in faulty), (path, label)


def test_the_book_counts_what_the_label_files_hold(drawn: DataSet, book: dict) -> None:
    fuzzy: dict[str, int] = {}
    counted: dict[str, int] = {}
    for round_ in (demo.BASE, demo.ROUND2):
        for row in rows(drawn, round_):
            counted[f"{round_}/{row[1]}/labelled"] = counted.get(f"{round_}/{row[1]}/labelled", 0) + 1
            fuzzy[f"{round_}/{row[1]}"] = fuzzy.get(f"{round_}/{row[1]}", 0) + ("m" in row[2])
    assert {k: v for k, v in fuzzy.items() if v} == book["fuzzy"]
    assert counted == {k: v for k, v in book["rows"].items() if k.endswith("labelled")}
    assert {q: len(groups) for q, groups in book["where"].items()} == book["counts"] == demo.quirk_counts(drawn.folder)


def test_every_quirk_the_contest_knows_is_planted(book: dict) -> None:
    wanted = {
        *("exact_duplicates", "near_duplicates", "fuzzy_conflicts", "real_conflicts", "train_test_duplicates"),
        *("across_rounds", "across_attributes", "truncated", "zero_byte", "text_named_jpg", "png_named_jpg"),
        *("alpha_png_named_jpg", "exif_rotated", "exif_upside_down", "grey", "cmyk", "missing_file", "mislabelled"),
        *("wrong_length_label", "two_y", "no_y", "truncated_question"),
    }
    assert set(book["counts"]) == wanted


@pytest.mark.parametrize(
    "quirk",
    [
        "exact_duplicates",
        "fuzzy_conflicts",
        "real_conflicts",
        "train_test_duplicates",
        "across_rounds",
        "across_attributes",
    ],
)
def test_duplicates_decode_to_the_same_pixels(drawn: DataSet, book: dict, quirk: str) -> None:
    for first, second in book["where"][quirk]:
        assert np.array_equal(pixels(drawn, first), pixels(drawn, second))


def test_near_duplicates_look_alike_but_differ(drawn: DataSet, book: dict) -> None:
    for first, second in book["where"]["near_duplicates"]:
        one, two = pixels(drawn, first), pixels(drawn, second)
        assert one.shape != two.shape or not np.array_equal(one, two)
        small = [cv2.resize(p, (16, 16), interpolation=cv2.INTER_AREA).astype(int) for p in (one, two)]
        assert np.abs(small[0] - small[1]).mean() < 4


def test_one_exact_duplicate_differs_in_bytes(drawn: DataSet, book: dict) -> None:
    groups = [[(drawn.folder / r / p).read_bytes() for r, p in group] for group in book["where"]["exact_duplicates"]]
    assert sum(one != two for one, two in groups) == len(ATTRIBUTES)


def test_fuzzy_conflicts_can_be_merged_and_real_ones_cannot(drawn: DataSet, book: dict) -> None:
    label = labels(drawn)
    for quirk, mergeable in (("fuzzy_conflicts", True), ("real_conflicts", False)):
        for first, second in book["where"][quirk]:
            one, two = label[tuple(first)], label[tuple(second)]
            assert one.index("y") != two.index("y")
            assert (two[one.index("y")] == "m" or one[two.index("y")] == "m") is mergeable


def test_odd_pictures_are_what_the_book_says(drawn: DataSet, book: dict) -> None:
    def opened(quirk: str) -> list[Image.Image]:
        return [Image.open(drawn.folder / r / p) for group in book["where"][quirk] for r, p in group]

    assert {i.mode for i in opened("grey")} == {"L"}
    assert {i.mode for i in opened("cmyk")} == {"CMYK"}
    assert {(i.format, i.mode) for i in opened("png_named_jpg")} == {("PNG", "RGB")}
    assert {(i.format, i.mode) for i in opened("alpha_png_named_jpg")} == {("PNG", "RGBA")}
    assert {i.getexif()[0x0112] for i in opened("exif_rotated")} == {6}
    assert {i.getexif()[0x0112] for i in opened("exif_upside_down")} == {3}


def test_broken_pictures_cannot_be_read_and_the_missing_one_is_missing(drawn: DataSet, book: dict) -> None:
    for quirk in ("truncated", "zero_byte", "text_named_jpg", "truncated_question"):
        for ((round_, path),) in book["where"][quirk]:
            with pytest.raises(OSError):
                Image.open(drawn.folder / round_ / path).load()
    missing = {(r, p) for r, p in labels(drawn) if not (drawn.folder / r / p).exists()}
    assert missing == {tuple(p) for group in book["where"]["missing_file"] for p in group}


def test_fuzzy_letters_are_next_to_the_class_for_lengths_and_sleeves_are_never_invisible() -> None:
    rng = np.random.default_rng(0)
    for name in ("skirt_length_labels", "sleeve_length_labels"):
        for _ in range(200):
            _, label = example(name, False, 1.0, rng)
            if "m" in label:
                assert abs(label.index("m") - label.index("y")) == 1 and label.index("m") > 0
            assert name != "sleeve_length_labels" or label[0] == "n"


def test_a_class_that_never_occurs_is_not_labelled_by_mistake_either(drawn: DataSet) -> None:
    sleeves = [
        row[2] for round_ in ("base", "round2") for row in rows(drawn, round_) if row[1] == "sleeve_length_labels"
    ]
    assert len(sleeves) > 50
    assert [label for label in sleeves if len(label) == 9 and label.count("y") == 1 and label[0] == "y"] == []


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_a_plain_label_is_the_class_that_the_look_shows(name: str) -> None:
    rng = np.random.default_rng(1)
    attribute = ATTRIBUTES[name]
    for _ in range(200):
        look, label = example(name, bool(rng.integers(2)), 0.0, rng)
        assert label == label_string(len(attribute.classes), attribute.shown(look))


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="draw 60 images or more"):
        demo.draw(tmp_path / "x", images=5)
    with pytest.raises(PipelineError, match="hat_labels cannot be drawn; known: skirt"):
        demo.draw(tmp_path / "x", attributes=["hat_labels"])
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(Conflict, match="not an empty folder"):
        demo.draw(tmp_path / "taken", images=IMAGES)
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]

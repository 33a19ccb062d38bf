"""The questions of the report for the tasks where classes don't exclude each other, or where there are none."""

import numpy as np
import pytest

from components.report import gallery, issues, questions
from components.report.evidence import Rows
from components.vision import tasks

NAMES = ("a.png", "b.png", "c.png", "d.png")
MULTI = Rows(
    NAMES,
    ("yn", "ny", "yy", "nm"),
    np.arange(4),
    np.array([[0.9, 0.1], [0.6, 0.8], [0.6, 0.9], [0.2, 0.7]]),
    tasks.TASKS["multi_label"],
)
NUMBER = Rows(
    NAMES,
    ("1", "2", "3", "4"),
    np.arange(4),
    np.array([[1.5], [2.0], [1.0], [4.5]]),
    tasks.of({"task": "regression", "scale": [0.0, 1.0]}),
)


def asked(rows, index, question):
    return [rows.image_id[i] for i in questions.answer(rows, index, question, 10)]


def test_a_picture_may_answer_for_several_classes_from_a_half_on():
    assert asked(MULTI, 0, "most_confident") == ["a.png", "b.png", "c.png"]
    assert asked(MULTI, 0, "least_confident") == ["b.png", "c.png", "a.png"], "equal ones by name"
    assert asked(MULTI, 1, "most_confident") == ["c.png", "b.png", "d.png"]


def test_surely_wrong_is_what_the_label_denies_and_not_what_it_leaves_open():
    assert asked(MULTI, 0, "confidently_wrong") == ["b.png"]
    assert asked(MULTI, 1, "confidently_wrong") == [], "d.png has an m there"


def test_a_card_says_all_classes_of_the_label():
    table = questions.table("colours", ("red", "blue"), MULTI, 10)
    assert set(table["labelled"]) == {"red", "blue", "red|blue", ""}
    grids = [[{"src": "", "name": r["image_id"], "row": r} for r in rows.to_dict("records")]
             for _, rows in table.groupby(["class_index", "question"], sort=False)]  # fmt: skip
    blocks = gallery.question_blocks(("red", "blue"), table, grids)
    wrong = next(q for q in blocks[0]["questions"] if q["title"] == "Confidently wrong")
    assert [(c["note"], c["wrong"]) for c in wrong["cards"]] == [("labelled blue", True)]
    sure = next(q for q in blocks[0]["questions"] if q["title"] == "Most confident")
    assert [c["note"] for c in sure["cards"]] == ["", "labelled blue", ""]


def test_of_numbers_the_closest_and_the_farthest_are_shown():
    assert asked(NUMBER, 0, "closest") == ["b.png", "a.png", "d.png", "c.png"]
    assert asked(NUMBER, 0, "farthest") == ["c.png", "a.png", "d.png", "b.png"]
    table = questions.table("amount", ("value",), NUMBER, 2)
    assert list(table["question"]) == ["closest"] * 2 + ["farthest"] * 2
    assert list(table["labelled"]) == ["2", "1", "3", "1"]


def many(labels, sure):
    """Pictures of two colours, with these labels, that models are sure of."""
    names = tuple(f"{number:03}.png" for number in range(len(labels)))
    probability = np.where(np.array([list(label) for label in sure]) == "y", 0.97, 0.03)
    return Rows(names, tuple(labels), np.arange(len(labels)), probability, tasks.TASKS["multi_label"])


def test_where_several_classes_may_be_right_each_one_is_doubted_by_itself(tmp_path):
    sure = ["yy", "yn", "ny", "nn"] * 25
    labels = list(sure)
    labels[4], labels[9], labels[11], labels[14] = "ny", "yy", "yy", "nm"
    found = issues.table("colours", ("red", "blue"), many(labels, sure), {"a": {}}, "predicted_neq_given")
    told = set(zip(found["image_id"], found["label"], found["labelled"], found["predicted"], strict=True))
    assert told == {
        ("004.png", "ny", "not red", "red"),
        ("009.png", "yy", "blue", "not blue"),
        ("011.png", "yy", "red", "not red"),
        ("011.png", "yy", "blue", "not blue"),
    }, "an m, as of 014.png, is not doubted"
    assert list(found["rank"]) == [1, 2, 3, 4]
    issues.write([found], tmp_path / "issues.parquet")


def test_the_least_plausible_class_ranks_first():
    sure = ["yy", "yn", "ny", "nn"] * 25
    rows = many(["ny", "yy", *sure[2:]], sure)
    rows.probability[1, 1] = 0.01
    found = issues.table("colours", ("red", "blue"), rows, {}, "predicted_neq_given")
    assert list(zip(found["image_id"], found["labelled"], strict=True)) == [("001.png", "blue"), ("000.png", "not red")]


@pytest.mark.parametrize(
    ("rows", "classes"), [(many(["yn", "ny"] * 9, ["yn", "ny"] * 9), ("a", "b")), (NUMBER, ("v",))]
)
def test_labels_that_agree_and_numbers_are_not_doubted(rows, classes, tmp_path):
    found = issues.table("x", classes, rows, {}, "prune_by_noise_rate")
    assert list(found.columns) == issues.SCHEMA.names and found.empty
    issues.write([found], tmp_path / "issues.parquet")

"""The questions of the report for the tasks where classes don't exclude each other, or where there are none."""

import numpy as np

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


def test_labels_are_doubted_only_where_one_class_is_right():
    assert len(issues.find(MULTI)) == 0

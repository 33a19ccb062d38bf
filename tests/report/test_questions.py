"""The three questions and the label issues, by their definitions."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from components.report import issues, questions
from components.report.evidence import Rows

CLASSES = ("a", "b", "c")


def rows_of(*pictures: tuple[str, str, list[float]]) -> Rows:
    ids, labels, probabilities = zip(*pictures, strict=True)
    return Rows(ids, labels, np.arange(len(ids)), np.array(probabilities))


PICTURES = rows_of(
    ("p1", "ynn", [0.9, 0.05, 0.05]),
    ("p2", "ynn", [0.5, 0.3, 0.2]),
    ("p3", "nyn", [0.8, 0.1, 0.1]),  # wrong
    ("p4", "myn", [0.7, 0.2, 0.1]),  # answered the class marked m: not wrong
    ("p5", "nny", [0.6, 0.1, 0.3]),  # wrong
    ("p6", "nyn", [0.1, 0.8, 0.1]),
)


def named(positions: np.ndarray) -> list[str]:
    return [PICTURES.image_id[i] for i in positions]


def test_most_confident_are_the_largest_probabilities_among_the_pictures_predicted_so() -> None:
    assert named(questions.answer(PICTURES, 0, "most_confident", 3)) == ["p1", "p3", "p4"]


def test_least_confident_are_the_smallest_probabilities_among_the_pictures_predicted_so() -> None:
    assert named(questions.answer(PICTURES, 0, "least_confident", 3)) == ["p2", "p5", "p4"]


def test_confidently_wrong_leaves_out_answers_on_a_class_marked_m() -> None:
    assert named(questions.answer(PICTURES, 0, "confidently_wrong", 9)) == ["p3", "p5"]


def test_equal_probabilities_are_ordered_by_image_name() -> None:
    tied = rows_of(("z", "ynn", [0.8, 0.1, 0.1]), ("b", "ynn", [0.8, 0.1, 0.1]), ("m", "ynn", [0.8, 0.1, 0.1]))
    for question in ("most_confident", "least_confident"):
        assert [tied.image_id[i] for i in questions.answer(tied, 0, question, 9)] == ["b", "m", "z"]


def test_a_class_that_is_never_predicted_has_no_rows_in_the_table() -> None:
    table = questions.table("x", CLASSES, PICTURES, 20)
    assert set(table["class"]) == {"a", "b"}
    wrong = table[(table["class"] == "a") & (table["question"] == "confidently_wrong")]
    assert list(zip(wrong["rank"], wrong["image_id"], wrong["labelled"], strict=True)) == [
        (1, "p3", "b"),
        (2, "p5", "c"),
    ]


@given(st.integers(0, 10_000))
def test_every_answer_is_predicted_as_its_class_and_ranked_by_probability(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.ones(3), 30)
    labels = ["".join(rng.permutation(list("ymn"))) for _ in range(30)]
    rows = Rows(tuple(f"{i:02}" for i in range(30)), tuple(labels), np.arange(30), probability)
    for c in range(3):
        wrong = questions.answer(rows, c, "confidently_wrong", 30)
        assert all(labels[i][c] == "n" and rows.predicted[i] == c for i in wrong)
        assert list(probability[wrong, c]) == sorted(probability[wrong, c], reverse=True)
        most = questions.answer(rows, c, "most_confident", 30)
        assert set(most) == set(np.flatnonzero(rows.predicted == c))


def many(num_rows: int = 200) -> Rows:
    """Sure and right everywhere, but for row 3 (label contradicts) and row 4 (answer on an m)."""
    truth = np.arange(num_rows) % 3
    probability = np.full((num_rows, 3), 0.02)
    probability[np.arange(num_rows), truth] = 0.96
    labels = ["".join("y" if i == t else "n" for i in range(3)) for t in truth]
    labels[3], labels[4] = "nny", "nmy"  # truth of row 3 is class 0, of row 4 class 1
    return Rows(tuple(f"{i:03}" for i in range(num_rows)), tuple(labels), np.arange(num_rows), probability)


def test_a_label_that_a_sure_model_contradicts_is_proposed_and_nothing_else() -> None:
    assert list(issues.find(many())) == [3]


def test_a_prediction_on_a_class_marked_m_agrees_with_its_label() -> None:
    rows = many()
    assert rows.predicted[4] == 1 and rows.label[4] == "nmy"
    assert 4 not in issues.find(rows, "predicted_neq_given")


def test_labels_that_more_models_contradict_rank_higher() -> None:
    rows = many()
    labels = list(rows.label)
    labels[6] = "nny"
    rows = Rows(rows.image_id, tuple(labels), rows.group, rows.probability)
    models = {"small": {"003": 2, "006": 0}, "wide": {"003": 0, "006": 0}}
    table = issues.table("x", CLASSES, rows, models, "predicted_neq_given")
    assert list(table["image_id"]) == ["006", "003"]
    assert list(zip(table["models_against"], table["models"], strict=True)) == [(2, 2), (1, 2)]


def test_one_class_only_proposes_nothing_instead_of_failing() -> None:
    same = rows_of(("p1", "ynn", [0.2, 0.5, 0.3]), ("p2", "ynn", [0.9, 0.05, 0.05]))
    assert len(issues.find(same)) == 0


def test_empty_tables_keep_their_columns_and_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    empty = issues.table("x", CLASSES, rows_of(("p1", "ynn", [0.9, 0.05, 0.05])), {}, "both")
    issues.write([empty], tmp_path / "issues.parquet")
    assert pq.read_schema(tmp_path / "issues.parquet").names == issues.SCHEMA.names
    table = questions.table("x", CLASSES, PICTURES, 2)
    for name in ("one", "two"):
        questions.write([table, table], tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

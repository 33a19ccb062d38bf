"""Questions in, submission out: in question order, complete, eight decimals."""

import numpy as np
import pytest

from components.artifacts import submission
from components.errors import DataError

QUESTIONS = [("b.jpg", "two"), ("a.jpg", "one"), ("c.jpg", "two")]
ANSWERS = {
    "one": (["a.jpg"], np.array([[1 / 3, 2 / 3]])),
    "two": (["c.jpg", "b.jpg"], np.array([[0.1, 0.9, 0.0], [1e-9, 0.5, 0.5]])),
}


def test_questions_are_read_in_their_order(tmp_path):
    file = tmp_path / "question.csv"
    file.write_bytes(b"\xef\xbb\xbfb.jpg,two,\r\na.jpg,one,\r\n\r\nc.jpg,two,\r\n")
    assert submission.read_questions(file) == QUESTIONS


def test_a_repeated_question_is_refused_with_its_row(tmp_path):
    file = tmp_path / "question.csv"
    file.write_text("a.jpg,one,\n\na.jpg,one,\n")
    with pytest.raises(DataError, match="question.csv row 3: a.jpg .one. repeats row 1"):
        submission.read_questions(file)


def test_a_submission_has_question_order_and_eight_decimals(tmp_path):
    file = tmp_path / "submission.csv"
    submission.write_submission(QUESTIONS, ANSWERS, file)
    assert file.read_bytes() == (
        b"b.jpg,two,0.00000000;0.50000000;0.50000000\n"
        b"a.jpg,one,0.33333333;0.66666667\n"
        b"c.jpg,two,0.10000000;0.90000000;0.00000000\n"
    )


def test_a_written_submission_is_read_back(tmp_path):
    file = tmp_path / "submission.csv"
    submission.write_submission(QUESTIONS, ANSWERS, file)
    rows = submission.read_rows(file)
    assert [row.key for row in rows] == QUESTIONS
    assert submission.numbers(rows[1], 2, file.name) == pytest.approx([1 / 3, 2 / 3], abs=1e-8)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"one": ANSWERS["one"]}, "2 of 3 questions have no answer, the first is b.jpg"),
        (ANSWERS | {"one": (["a.jpg", "a.jpg"], np.ones((2, 2)))}, "a.jpg .one. is answered twice"),
        (ANSWERS | {"one": (["a.jpg"], np.array([[np.nan, 1]]))}, "a.jpg .one. .*not finite"),
    ],
)
def test_an_incomplete_submission_is_never_written(tmp_path, answers, message):
    with pytest.raises(DataError, match=message):
        submission.write_submission(QUESTIONS, answers, tmp_path / "submission.csv")
    assert not (tmp_path / "submission.csv").exists()

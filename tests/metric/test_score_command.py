"""Scoring files: the real anchors, the joins, and what is refused with its row number."""

import gzip
import json
from pathlib import Path

import pytest

from pipeline import score
from pipeline.errors import PipelineError

REAL = Path(__file__).parents[3] / "shared" / "data" / "fashionai"
ANCHORS = [
    ("submission_0306b.csv.gz", 0.909504, 0.761910),
    ("submission_0328b_resnet50.csv.gz", 0.943431, 0.817886),
    ("submission_0330a_resnet152.csv.gz", 0.953247, 0.842105),
]
ANSWERS = ["a.jpg,one,yn,0", "b.jpg,one,ny,0", "c.jpg,two,nym,0"]
SUBMITTED = ["a.jpg,one,0.9;0.1", "b.jpg,one,0.6;0.4", "c.jpg,two,0.1;0.7;0.2"]


def run(folder, answers, submitted, **options):
    files = folder / "answers.csv", folder / "submission.csv"
    for path, lines in zip(files, (answers, submitted), strict=True):
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return score.score(*files, **options)


@pytest.mark.parametrize(("name", "ap", "basic_precision"), ANCHORS)
def test_real_submissions_give_their_published_scores(name, ap, basic_precision):
    if not REAL.exists():
        pytest.skip("the real files (../shared/data/fashionai) are not on this machine")
    result = score.score(REAL / "answers_round1.csv.gz", REAL / name)
    assert result.total.map == pytest.approx(ap, abs=1e-6)
    assert result.total.basic_precision == pytest.approx(basic_precision, abs=1e-6)
    assert result.total.count == 9_985
    assert result.notes == (
        f"9,833 answers of boards that {name} does not enter are set aside",
        f"95 rows of {name} have no answer",
    )


@pytest.mark.parametrize(
    ("reading", "ap"), [("per_item", 0.9532), ("distinct", 0.9268), ("rank", 0.9538), ("grid", 0.8732)]
)
def test_every_reading_gives_its_published_value_on_a_real_file(reading, ap):
    if not REAL.exists():
        pytest.skip("the real files (../shared/data/fashionai) are not on this machine")
    result = score.score(REAL / "answers_round1.csv.gz", REAL / "submission_0330a_resnet152.csv.gz", reading)
    assert result.total.map == pytest.approx(ap, abs=5e-5)
    assert result.total.accuracy == pytest.approx(0.8338, abs=5e-5)


def test_a_submission_is_scored_whatever_its_order(tmp_path):
    result = run(tmp_path, ANSWERS, SUBMITTED[::-1])
    assert list(result.scores) == ["one", "two"]
    assert result.scores["one"].ap == pytest.approx(3 / 4)
    assert result.total.map == pytest.approx((3 / 4 + 1) / 2)
    assert result.notes == ()


def test_a_byte_order_mark_windows_line_ends_and_gzip_change_nothing(tmp_path):
    answers, submitted = tmp_path / "answers.csv", tmp_path / "submission.csv.gz"
    answers.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(ANSWERS).encode())
    submitted.write_bytes(gzip.compress("\n".join(SUBMITTED).encode()))
    assert score.score(answers, submitted).total == run(tmp_path, ANSWERS, SUBMITTED).total


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [
        (1, "b.jpg,one,0.6;0.3;0.1", "submission.csv row 2: 3 probabilities; expected 2 for one"),
        (1, "b.jpg,one,0.6;NaN", "submission.csv row 2: '0.6;NaN' holds a number that is not finite"),
        (1, "b.jpg,one,inf;0.1", "submission.csv row 2: .* not finite"),
        (1, "b.jpg,one,0.6;x", "submission.csv row 2: .*'x'; expected 2 numbers"),
        (1, "b.jpg,one,", "submission.csv row 2: 1 probabilities; expected 2"),
        (1, "b.jpg,one,0.6;0,4", "submission.csv row 2: 'b.jpg,one,0.6;0,4'; expected `name,attribute,value`"),
        (1, "b" * 200_000 + ",one,0.6;0.4", "submission.csv row 2: field larger than field limit"),
        (1, "b.jpg,one", "submission.csv row 2: 'b.jpg,one'; expected `name,attribute,value`"),
        (1, "a.jpg,one,0.6;0.4", "submission.csv row 2: a.jpg .one. repeats row 1"),
        (1, "b.jpg,two,0.6;0.4;0", "submission.csv row 2: attribute 'two' for b.jpg; expected one"),
        (1, "d.jpg,one,0.6;0.4", "answers.csv row 2: b.jpg has no row.*submission.csv row 2: d.jpg has no answer"),
    ],
)
def test_a_bad_submission_row_is_refused_with_its_number(tmp_path, line, wrong, message):
    submitted = [wrong if i == line else good for i, good in enumerate(SUBMITTED)]
    with pytest.raises(PipelineError, match=message) as refused:
        run(tmp_path, ANSWERS, submitted)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("b.jpg,one,nyn", "answers.csv row 2: label 'nyn'; expected 2 of y, m, n"),
        ("b.jpg,one,nx", "answers.csv row 2: label 'nx'; expected y, m, n and no header line"),
        ("b.jpg,one,nn", "exactly one y"),
        ("b.jpg,one,yy", "exactly one y"),
        ("a.jpg,one,ny", "answers.csv row 2: a.jpg .one. repeats row 1"),
    ],
)
def test_a_bad_answer_row_is_refused_with_its_number(tmp_path, wrong, message):
    with pytest.raises(PipelineError, match=message):
        run(tmp_path, [ANSWERS[0], wrong, ANSWERS[2]], SUBMITTED)


@pytest.mark.parametrize(("letter", "reading"), zip("ABcd", score.READINGS, strict=True))
def test_a_reading_may_be_given_by_its_letter(tmp_path, letter, reading):
    run(tmp_path, ANSWERS, SUBMITTED)
    files = tmp_path / "answers.csv", tmp_path / "submission.csv"
    assert score.score(*files, letter) == score.score(*files, reading)


def test_a_folder_is_not_said_to_be_missing(tmp_path):
    with pytest.raises(PipelineError, match="is not a file"):
        score.score(tmp_path, tmp_path)


def test_an_answer_without_submission_row_is_refused_unless_partial(tmp_path):
    with pytest.raises(PipelineError, match="answers.csv row 2: b.jpg has no row in submission.csv .*--partial"):
        run(tmp_path, ANSWERS, [SUBMITTED[0], SUBMITTED[2]])
    result = run(tmp_path, ANSWERS, [SUBMITTED[0], SUBMITTED[2]], partial=True)
    assert result.notes == ("1 answers have no row in submission.csv",)
    assert result.total.count == 2


def test_a_submission_row_without_answer_is_refused_unless_partial(tmp_path):
    submitted = [*SUBMITTED, "d.jpg,one,0.5;0.5"]
    with pytest.raises(PipelineError, match="submission.csv row 4: d.jpg has no answer in answers.csv"):
        run(tmp_path, ANSWERS, submitted)
    assert run(tmp_path, ANSWERS, submitted, partial=True).notes == ("1 rows of submission.csv have no answer",)


def test_a_bad_row_is_refused_even_where_it_would_not_count(tmp_path):
    with pytest.raises(PipelineError, match="submission.csv row 4: '0.5;nan' holds a number that is not finite"):
        run(tmp_path, ANSWERS, [*SUBMITTED, "d.jpg,one,0.5;nan"], partial=True)


def test_an_attribute_lost_on_the_way_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="answers.csv row 3: c.jpg has no row"):
        run(tmp_path, ANSWERS, SUBMITTED[:2])


def test_files_of_other_pictures_are_refused(tmp_path):
    with pytest.raises(PipelineError, match="submission.csv answers no row of answers.csv"):
        run(tmp_path, ANSWERS, ["z.jpg,one,0.5;0.5"], partial=True)


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="submission.csv is empty"):
        run(tmp_path, ANSWERS, [])


def test_a_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "answers.csv").write_bytes("é.jpg,one,yn\n".encode("windows-1252"))
    with pytest.raises(PipelineError, match="answers.csv cannot be read .*expected UTF-8"):
        score.score(tmp_path / "answers.csv", tmp_path / "answers.csv")


def boards(count):
    """Two boards of `count` rows each for two attributes, one after the other, and a submission to the first."""
    answers = [f"{board}{a}{i}.jpg,{a},yn,0" for board in "AB" for a in ("one", "two") for i in range(count)]
    return answers, [f"A{a}{i}.jpg,{a},0.7;0.3" for a in ("one", "two") for i in range(count)]


def test_a_board_that_is_not_entered_is_set_aside_with_a_note(tmp_path):
    answers, submitted = boards(60)
    result = run(tmp_path, answers, submitted)
    assert result.total.count == 120
    assert result.notes == ("120 answers of boards that submission.csv does not enter are set aside",)


def test_a_row_missing_from_an_entered_board_is_refused_although_another_board_is_set_aside(tmp_path):
    answers, submitted = boards(60)
    with pytest.raises(PipelineError, match="answers.csv row 8: Aone7.jpg has no row"):
        run(tmp_path, answers, submitted[:7] + submitted[8:])


def test_beside_a_board_set_aside_few_unanswered_rows_are_noted_and_many_refused(tmp_path):
    answers, submitted = boards(60)
    unanswered = [f"withdrawn{i}.jpg,one,0.7;0.3" for i in range(4)]
    assert "3 rows of submission.csv have no answer" in run(tmp_path, answers, submitted + unanswered[:3]).notes
    with pytest.raises(PipelineError, match="withdrawn0.jpg has no answer"):
        run(tmp_path, answers, submitted + unanswered)


def test_a_handful_of_rows_is_no_board(tmp_path):
    answers, submitted = boards(3)
    with pytest.raises(PipelineError, match="answers.csv row 7: Bone0.jpg has no row.*and 1 more"):
        run(tmp_path, answers, submitted)


def test_the_table_and_the_json_say_the_same(tmp_path):
    result = run(tmp_path, [*ANSWERS, "d.jpg,three,my"], [*SUBMITTED, "d.jpg,three,0.8;0.2"])
    text, body = score.render(result), json.loads(json.dumps(score.as_json(result), allow_nan=False))
    assert "mAP 0.875000" in text
    assert body["map"] == 0.875
    assert body["attributes"]["three"]["ap"] is None
    assert "note: three has no right or wrong answer, only m, and is left out of mAP" in text
    assert body["notes"] == list(result.notes)

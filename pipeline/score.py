"""`seamline score ANSWERS SUBMISSION`: the contest's metric of a submission file. Nothing is ever dropped silently.

Rows are joined on (name, attribute). Malformed rows, repeated keys, wrong K, NaN, and a known name under another
attribute are always errors with the row number. What one file has and the other lacks is judged like this:

* **Missing** (an answer without a submission row) is an error, with one exception. Released answer files are several
  boards one after the other: the real FashionAI file holds boards A and B, a submission answers one of them. A board
  (at least 100 rows, the attributes one after the other) of which *no* row is submitted is set aside with a note. A
  board submitted in part is an error for every row it lacks, and so is an attribute submitted not at all.
* **Unknown** (a submission row without an answer) is an error, with one exception. Where boards are set aside the file
  is a release, and releases lack some answers (95 of 10,080 on board A). There up to 5 % of an attribute's rows may
  lack theirs, counted in a note: with every answer of the board submitted they cannot hide a misspelt name.

`partial=True` turns both errors into notes: the metric of the rows that both files have.
"""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.artifacts import submission as files
from components.artifacts.submission import Row
from components.errors import DataError
from components.vision import metrics
from components.vision.metrics import Score, Total
from pipeline.errors import PipelineError

READINGS = metrics.READINGS
UNKNOWN_ALLOWED = 0.05
BOARD_ROWS = 100
_SHOWN = 5

Key = tuple[str, str]


@dataclass(frozen=True)
class Result:
    """A scored submission.

    Attributes:
        reading: one of READINGS.
        total: means over the attributes.
        scores: attribute to its score, in the order of the answers.
        notes: what was set aside or left out, one sentence each.
    """

    reading: str
    total: Total
    scores: dict[str, Score]
    notes: tuple[str, ...]


def score(answers: Path, submission: Path, reading: str = "per_item", *, partial: bool = False) -> Result:
    """Scores a submission against answers; see the module's text for what is refused.

    Args:
        answers: `name,attribute,label` rows, a fourth column is ignored; .csv or .csv.gz.
        submission: `name,attribute,p0;...;pK-1` rows; .csv or .csv.gz.
        reading: one of READINGS, or its letter A to D.
        partial: score what both files have and note the rest.

    Raises:
        PipelineError: a file that cannot be scored; names the row.
    """
    reading = dict(zip("ABCD", READINGS, strict=True)).get(reading.upper(), reading)
    if reading not in READINGS:
        raise PipelineError(f"reading={reading!r} is not known; expected one of {', '.join(READINGS)}")
    try:
        truth = _unique(answers)
        submitted = _unique(submission, columns=(3,))  # a fourth one may be the rest of a decimal comma
        classes = _classes(truth, answers.name)
        rows = _numbers(submitted, classes, submission.name)
        common, notes = _joined(truth, submitted, answers.name, submission.name, partial)
        scores = _scores(common, rows, reading)
    except DataError as error:
        raise PipelineError(str(error)) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said once, below
        total = metrics.mean_over_attributes(scores)
    notes += [f"{name} has no right or wrong answer, only m, and is left out of mAP" for name in total.undefined]
    return Result(reading, total, scores, tuple(notes))


def render(result: Result) -> str:
    """The result as a table for people, notes below."""
    width = max(map(len, [*result.scores, "attribute"]))
    lines = [f"{'attribute':<{width}}     rows  m rows         AP  BasicPrecision  accuracy"]
    for name, s in result.scores.items():
        rates = f"{_number(s.ap):>9}  {_number(s.basic_precision):>14}  {_number(s.accuracy):>8}"
        lines.append(f"{name:<{width}}  {s.count:>7,}  {s.m_count:>6,}  {rates}")
    total = result.total
    lines += [
        "",
        f"mAP {_number(total.map)}  BasicPrecision {_number(total.basic_precision)}  accuracy {_number(total.accuracy)}"
        f"  ({total.count:,} rows, reading {result.reading})",
    ]
    return "\n".join(lines + [f"note: {note}" for note in result.notes])


def as_json(result: Result) -> dict[str, Any]:
    """The result for machines; undefined numbers are null."""
    return {
        "reading": result.reading,
        **_finite(asdict(result.total)),
        "attributes": {name: _finite(asdict(s)) for name, s in result.scores.items()},
        "notes": list(result.notes),
    }


def _unique(path: Path, columns: Sequence[int] = (3, 4)) -> dict[Key, Row]:
    rows = files.read_rows(path, columns=columns)
    if not rows:
        raise DataError(f"{path.name} is empty; expected rows `name,attribute,value`")
    files.refuse_repeats(rows, path.name)
    return {row.key: row for row in rows}


def _classes(truth: dict[Key, Row], name: str) -> dict[str, int]:
    """Attribute to its number of classes. Raises DataError for the first label that is none."""
    classes: dict[str, int] = {}
    for row in truth.values():
        expected = classes.setdefault(row.attribute, len(row.value))
        if set(row.value) - set("ymn"):
            raise DataError(f"{name} row {row.number}: label {row.value[:40]!r}; expected y, m, n and no header line")
        if row.value.count("y") != 1 or len(row.value) != expected:
            raise DataError(
                f"{name} row {row.number}: label {row.value!r}; expected {expected} of y, m, n with exactly one y"
            )
    return classes


def _numbers(submitted: dict[Key, Row], classes: dict[str, int], name: str) -> dict[Key, list[float]]:
    """The probabilities of every submission row whose attribute is known, answered or not: all must be sound."""
    known = (row for row in submitted.values() if row.attribute in classes)
    return {row.key: files.numbers(row, classes[row.attribute], name) for row in known}


def _joined(
    truth: dict[Key, Row], submitted: dict[Key, Row], answers: str, submission: str, partial: bool
) -> tuple[list[tuple[Row, Row]], list[str]]:
    """(answer, submission row) of every name that both have, in the answers' order, and notes about the others."""
    _check_attributes(truth, submitted, submission)
    common = [(row, submitted[key]) for key, row in truth.items() if key in submitted]
    if not common:
        raise DataError(f"{submission} answers no row of {answers}; give the answers of the same pictures")
    unknown = [row for key, row in submitted.items() if key not in truth]
    missing, boards = _missing(truth, submitted)
    notes = [f"{len(boards):,} answers of boards that {submission} does not enter are set aside"] if boards else []
    if not partial:
        problems = [f"{answers} row {r.number}: {r.image_id} has no row in {submission}" for r in missing]
        if not boards or _too_many(unknown, submitted.values()):
            problems += [f"{submission} row {r.number}: {r.image_id} has no answer in {answers}" for r in unknown]
        _refuse(problems)
    notes += [f"{len(missing):,} answers have no row in {submission}"] if missing else []
    return common, notes + ([f"{len(unknown):,} rows of {submission} have no answer"] if unknown else [])


def _check_attributes(truth: dict[Key, Row], submitted: dict[Key, Row], submission: str) -> None:
    attributes: dict[str, set[str]] = {}
    for image_id, attribute in truth:
        attributes.setdefault(image_id, set()).add(attribute)
    for key, row in submitted.items():
        known = attributes.get(row.image_id)
        if known and key not in truth:
            raise DataError(
                f"{submission} row {row.number}: attribute {row.attribute!r} for {row.image_id}; "
                f"expected {' or '.join(sorted(known))}"
            )


def _missing(truth: dict[Key, Row], submitted: dict[Key, Row]) -> tuple[list[Row], list[Row]]:
    """Answers without a submission row: those that are errors, and those of boards not entered at all."""
    entered = {attribute for _, attribute in truth.keys() & submitted.keys()}
    missing: list[Row] = []
    aside: list[Row] = []
    for board in _boards(list(truth.values())):
        absent = [row for row in board if row.key not in submitted]
        other_board = len(absent) == len(board) >= BOARD_ROWS and {row.attribute for row in board} <= entered
        (aside if other_board else missing).extend(absent)
    return missing, aside


def _boards(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Cuts the answers where an attribute returns that was left before."""
    board: list[Row] = []
    seen: set[str] = set()
    for row in rows:
        if row.attribute in seen and row.attribute != board[-1].attribute:
            yield board
            board, seen = [], set()
        board.append(row)
        seen.add(row.attribute)
    if board:
        yield board


def _too_many(unknown: Sequence[Row], submitted: Iterable[Row]) -> bool:
    rows = list(submitted)
    of = {row.attribute: 0 for row in rows}
    total = dict(of)
    for row in rows:
        total[row.attribute] += 1
    for row in unknown:
        of[row.attribute] += 1
    return any(of[name] > UNKNOWN_ALLOWED * total[name] for name in of)


def _refuse(problems: list[str]) -> None:
    if problems:
        more = f"; and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
        raise DataError("; ".join(problems[:_SHOWN]) + more + " (--partial scores what both files have)")


def _scores(common: list[tuple[Row, Row]], rows: dict[Key, list[float]], reading: str) -> dict[str, Score]:
    by_attribute: dict[str, list[tuple[Row, Row]]] = {}
    for pair in common:
        by_attribute.setdefault(pair[0].attribute, []).append(pair)
    scores = {}
    for attribute, pairs in by_attribute.items():
        labels = [answer.value for answer, _ in pairs]
        table = np.array([rows[row.key] for _, row in pairs])
        scores[attribute] = metrics.average_precision(table, labels, reading)
    return scores


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.6f}"


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}

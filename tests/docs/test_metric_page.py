"""The worked examples and the command's output in docs/metric.md are what the code computes."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from components.vision import metrics
from pipeline import score
from pipeline.cli import main

PAGE = (Path(__file__).parents[2] / "docs/metric.md").read_text(encoding="utf-8")
EXAMPLES = PAGE[PAGE.index("## Worked examples") : PAGE.index("## `seamline score")]


def tables(text):
    """All tables of a text: head and rows of cells."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    cut = [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] for table in found]
    return [(lines[0], lines[2:]) for lines in cut]


def inputs(name):
    """Probabilities and labels of the example that a sentence beginning with its name introduces."""
    _, rows = tables(EXAMPLES[EXAMPLES.index(f"\n{name} has") :])[0]
    return np.array([[float(p) for p in row[1].split()] for row in rows]), [row[2] for row in rows]


def outcomes():
    head, rows = next((head, rows) for head, rows in tables(EXAMPLES) if head[0] == "example")
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def test_the_readings_are_those_of_the_code_in_order():
    _, rows = next(table for table in tables(PAGE) if table[0][0] == "reading")
    assert [row[0] for row in rows] == list("ABCD")
    assert tuple(row[1].strip("`") for row in rows) == metrics.READINGS == score.READINGS


@pytest.mark.parametrize("name", ["E1", "E2", "E3"])
@pytest.mark.parametrize(("letter", "reading"), list(zip("ABCD", metrics.READINGS, strict=True)))
def test_every_cell_of_the_examples_is_computed(name, letter, reading):
    shown = outcomes()[name]
    found = metrics.average_precision(*inputs(name), reading)
    # Reading D depends on how floating point rounds a multiple of 0.001.
    assert found.ap == pytest.approx(float(Fraction(shown[letter])), abs=1e-3 if letter == "D" else 1e-12)
    assert found.basic_precision == pytest.approx(float(Fraction(shown["BasicPrecision"])), abs=1e-12)
    if reading == "per_item":
        assert found.skipped == int(shown["skipped (A)"])


def test_the_means_of_the_examples_are_unweighted():
    scores = {name: metrics.average_precision(*inputs(name)) for name in ("E1", "E2", "E3")}
    total, shown = metrics.mean_over_attributes(scores), outcomes()["mean"]
    assert total.map == pytest.approx(float(Fraction(shown["A"])), abs=1e-12)
    assert total.basic_precision == pytest.approx(float(Fraction(shown["BasicPrecision"])), abs=1e-12)


def test_the_thresholds_of_the_first_example_count_as_the_page_says():
    probabilities, labels = inputs("E1")
    confidence, outcome = metrics.judged(probabilities, labels)
    _, rows = next(table for table in tables(EXAMPLES) if table[0][0] == "threshold")
    values = []
    for threshold, blocked, counted, right, precision in rows:
        reached = outcome[confidence >= float(threshold)]
        assert int(blocked) == len(outcome) - len(reached)
        assert int(counted) == (reached != metrics.FUZZY).sum()
        assert int(right) == (reached == metrics.RIGHT).sum()
        assert Fraction(precision) == Fraction(int(right), int(counted))
        values.append(Fraction(precision))
    assert sum(values) / len(values) == Fraction(outcomes()["E1"]["A"])


def test_the_command_prints_what_the_page_shows(tmp_path):
    answers, submission, printed = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "answers.csv").write_text(answers, encoding="utf-8")
    (tmp_path / "submission.csv").write_text(submission, encoding="utf-8")
    ended = CliRunner().invoke(main, ["score", str(tmp_path / "answers.csv"), str(tmp_path / "submission.csv")])
    assert (ended.exit_code, ended.stdout) == (0, printed)


def test_the_page_names_the_limits_of_the_code():
    assert f"A board of at least {score.BOARD_ROWS} rows" in PAGE
    assert f"up to {score.UNKNOWN_ALLOWED * 100:g} % of an attribute's rows" in PAGE


@pytest.mark.parametrize("wrong", ["a.jpg,one,0.9", "a.jpg,one,nan;0", "a.jpg,two,1;0", "b.jpg,one,1;0"])
def test_what_the_page_calls_an_error_ends_with_2_and_the_row(tmp_path, wrong):
    (tmp_path / "answers.csv").write_text("a.jpg,one,yn\n", encoding="utf-8")
    (tmp_path / "submission.csv").write_text(f"{wrong}\n", encoding="utf-8")
    ended = CliRunner().invoke(main, ["score", str(tmp_path / "answers.csv"), str(tmp_path / "submission.csv")])
    assert ended.exit_code == 2
    assert "row 1" in ended.stderr or "answers no row" in ended.stderr

"""A step's progress and curves are lines on stdout that any launcher can read."""

import json

import pytest

from components import progress


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(progress, "_last", {})


def bodies(capsys, kind):
    return [json.loads(line.split(" ", 1)[1]) for line in capsys.readouterr().out.splitlines() if line.startswith(kind)]


def test_a_metric_is_one_point_of_a_curve(capsys):
    progress.metric(3, loss=0.4)
    assert bodies(capsys, "::metric") == [{"step": 3, "loss": 0.4}]


def test_progress_says_little_often_and_the_end_always(capsys):
    for done in range(1, 1001):
        progress.progress(done, 1000, "pictures")
    said = bodies(capsys, "::progress")
    assert len(said) < 10
    assert said[-1] == {"done": 1000, "total": 1000, "unit": "pictures"}

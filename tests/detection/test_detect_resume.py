"""A detector's training that is killed goes on, and ends with the bytes of one that was not."""

import signal
from pathlib import Path

import pytest

from components.artifacts import detectors
from components.vision.detection import learner

KNOBS = {"iterations": 8, "checkpoint_every": 3, "ema": 0.9}


class Killed(BaseException):
    """Stands for a kill: nobody may catch it."""


def files(uri: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(uri).iterdir()}


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, happens) -> None:
    alive = learner.DetectionLearner.step

    def mortal(self, batch, rate, number):
        if number == step:
            happens()
        return alive(self, batch, rate, number)

    monkeypatch.setattr(learner.DetectionLearner, "step", mortal)


def steps_of(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The iterations that are computed from now on."""
    alive, seen = learner.DetectionLearner.step, []
    monkeypatch.setattr(learner.DetectionLearner, "step", lambda *a: seen.append(a[3]) or alive(*a))
    return seen


def kill():
    raise Killed


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 4, pytest.param(7, marks=pytest.mark.slow)])
def test_killed_at_any_iteration_it_ends_with_the_same_files(make_boxes, train, monkeypatch, step):
    """Before the first checkpoint, after it, after the second."""
    uri = make_boxes(train=12, validation=4)
    expected = files(train(uri, **KNOBS).result)
    with monkeypatch.context() as patch:
        at_step(patch, step, kill)
        with pytest.raises(Killed):
            train(uri, **KNOBS)
    seen = steps_of(monkeypatch)
    assert files(train(uri, **KNOBS).result) == expected
    assert seen[0] == step // 3 * 3, "an iteration before the last checkpoint ran again"


def test_asked_to_end_it_goes_on_with_exactly_the_next_iteration(make_boxes, train, monkeypatch):
    uri = make_boxes(train=12, validation=4)
    expected = files(train(uri, **KNOBS).result)
    with monkeypatch.context() as patch:
        at_step(patch, 4, lambda: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(SystemExit) as left:
            train(uri, **KNOBS)
    seen = steps_of(monkeypatch)
    assert left.value.code == 128 + signal.SIGTERM
    assert files(train(uri, **KNOBS).result) == expected and seen[0] == 5


@pytest.mark.slow
def test_asked_to_end_while_it_judges_it_judges_first_when_it_goes_on(make_boxes, train, monkeypatch):
    uri = make_boxes(train=12, validation=4)
    expected = files(train(uri, **KNOBS).result)
    alive = learner.DetectionLearner.judged

    def warned(self, judge):
        signal.raise_signal(signal.SIGTERM)
        return alive(self, judge)

    with monkeypatch.context() as patch:
        patch.setattr(learner.DetectionLearner, "judged", warned)
        with pytest.raises(SystemExit):
            train(uri, **KNOBS)
    seen = steps_of(monkeypatch)
    assert files(train(uri, **KNOBS).result) == expected and seen[0] == 3


@pytest.mark.slow
def test_a_kill_before_publishing_costs_no_training(make_boxes, train, monkeypatch):
    uri = make_boxes(train=12, validation=4)
    expected = files(train(uri, **KNOBS).result)
    with monkeypatch.context() as patch:
        patch.setattr(detectors, "write", lambda *_: kill())
        with pytest.raises(Killed):
            train(uri, **KNOBS)
    seen = steps_of(monkeypatch)
    assert files(train(uri, **KNOBS).result) == expected and not seen

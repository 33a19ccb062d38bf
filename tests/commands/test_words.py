"""Runs are told in eight words, plain durations and an honest time left."""

import pytest

from pipeline import words
from pipeline.engine.records import Task
from pipeline.engine.states import TaskState


def task(name="train", state=TaskState.PENDING, **more):
    return Task("run", name, name, name, "task", "", "comp", state, **more)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (3.14, "3.1 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations_read_naturally(seconds, text):
    assert words.duration(seconds) == text


def test_a_cached_success_is_reused():
    assert words.task_word(task(state=TaskState.SUCCEEDED, cached=True)) == "reused"
    assert words.task_word(task(state=TaskState.SUCCEEDED)) == "succeeded"


def test_every_state_has_a_word_with_a_shape():
    assert {words.task_word(task(state=state)) for state in TaskState} <= set(words.SHAPES)


def test_time_left_is_unknown_while_a_task_has_no_history():
    assert words.seconds_left([task("train"), task("report")], {"train": 10}, now=0) is None


def test_time_left_shares_the_waiting_work_among_what_runs_now():
    running = [task(f"t{i}", TaskState.RUNNING, started=100.0) for i in range(2)]
    usual = {"t0": 20, "t1": 20, "wait": 10}
    assert words.seconds_left([*running, task("wait")], usual, now=110) == pytest.approx((10 + 10 + 10) / 2)


def test_a_task_that_tells_its_progress_is_believed_before_history():
    one = task("train", TaskState.RUNNING, started=0.0, progress={"done": 1, "total": 4})
    assert words.seconds_left([one], {"train": 1000}, now=10) == pytest.approx(30)


def test_a_task_that_already_ran_here_tells_how_long_its_siblings_take():
    done = task("train", TaskState.SUCCEEDED, started=1.0, ended=6.0)
    assert words.seconds_left([done, task("train")], {}, now=7) == pytest.approx(5)


def test_a_task_that_takes_longer_than_usual_is_never_said_to_be_over():
    late = task("train", TaskState.RUNNING, started=0.0)
    assert words.seconds_left([late], {"train": 5}, now=100) >= 1

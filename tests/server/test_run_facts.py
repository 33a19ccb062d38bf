"""What is said of runs: changes, causes, states together, values in a few characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import words
from pipeline.engine.records import Run
from pipeline.engine.states import RunState
from pipeline.server.run_facts import (
    LONGEST_VALUE,
    Change,
    can_retry,
    changes,
    in_words,
    overall,
    recipe_name,
    short,
    word,
)


def run(state=RunState.SUCCEEDED, **fields):
    return Run("id", "name", "p", state, **fields)


def changed(before, after):
    return changes(run(parameters=after), run(parameters=before))


def test_a_reason_is_told_in_the_words_for_states():
    assert in_words("was SKIPPED: upstream train is FAILED") == "was skipped: upstream train is failed"
    assert in_words("was CANCELED; FAILED_ONCE is a name") == "was stopped; FAILED_ONCE is a name"


def test_a_value_that_changed_is_told_with_both_values():
    assert changed({"a": 1, "b": "x"}, {"a": 2, "b": "x"}) == [Change("a", "1", "2")]


def test_a_parameter_that_came_or_went_has_one_value():
    assert changed({"old": True}, {"new": 0.5}) == [Change("new", "", "0.5"), Change("old", "true", "")]


def test_of_structs_in_a_list_those_are_told_that_came_and_went():
    round1, round2, round3 = ({"name": f"round{i}", "uri": "/x"} for i in (1, 2, 3))
    assert changed({"rounds": [round1, round2]}, {"rounds": [round2, round3]}) == [
        Change("rounds", "", "+round3, −round1")
    ]
    assert changed({"rounds": [round1]}, {"rounds": [round1 | {"uri": "/y"}]}) == [
        Change("rounds", "", "changed inside")
    ]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_nothing_differs_from_itself(parameters):
    assert changed(parameters, parameters) == []


@given(
    st.dictionaries(st.text(max_size=5), values, max_size=4), st.dictionaries(st.text(max_size=5), values, max_size=4)
)
def test_a_change_is_found_both_ways_and_never_says_the_same_twice(before, after):
    there, back = changed(before, after), changed(after, before)
    assert [change.name for change in there] == [change.name for change in back]
    assert all(change.before != change.after for change in there)


@given(values)
def test_a_short_value_is_short(value):
    assert len(short(value)) <= LONGEST_VALUE


@pytest.mark.parametrize(
    ("states", "together"),
    [
        ([], "waiting"),
        (["waiting", "waiting"], "waiting"),
        (["succeeded", "waiting"], "running"),
        (["succeeded", "running", "failed"], "failed"),
        (["reused", "reused"], "reused"),
        (["reused", "succeeded"], "succeeded"),
        (["skipped"], "skipped"),
        (["skipped", "succeeded"], "succeeded"),
        (["stopped", "succeeded"], "stopped"),
    ],
)
def test_states_together_say_what_needs_attention_first(states, together):
    assert overall(states) == together


@given(st.lists(st.sampled_from(list(words.SHAPES))))
def test_states_together_are_one_of_the_eight_whatever_their_order(states):
    assert overall(states) == overall(states[::-1]) and overall(states) in words.SHAPES


def test_who_was_asked_to_stop_is_stopping_until_it_has_ended():
    assert word(run(RunState.RUNNING, stop_requested=True)) == "stopping"
    assert word(run(RunState.CANCELED, stop_requested=True)) == "stopped"


def test_a_running_run_can_be_retried_only_when_nobody_executes_it():
    assert can_retry(run(RunState.RUNNING), executing=False) and not can_retry(run(RunState.RUNNING), executing=True)
    assert can_retry(run(RunState.FAILED), executing=False) and not can_retry(run(RunState.SUCCEEDED), executing=False)


def test_the_recipe_is_called_by_its_files_name():
    assert recipe_name(run(labels={"recipe": "/far/away/fashionai.toml"})) == "fashionai"
    assert recipe_name(run()) == ""

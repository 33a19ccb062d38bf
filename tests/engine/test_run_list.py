"""Lists of runs: filters, sorts, pages, and what came before."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.records import Run
from pipeline.engine.run_list import Filter, Order, RunList
from pipeline.engine.run_pages import RunPages
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.errors import NotFound, PipelineError


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "state")


@pytest.fixture
def listed(store):
    return RunList(store)


def made(store, number, name="demo", took=0.0, **fields):
    """A run made at minute `number` that ended well after `took` seconds; 0: it still waits."""
    run = Run(run_id=f"{number:08x}-run", name=name, pipeline="p", state=RunState.PENDING, created=60.0 * number)
    store.add_run(replace(run, **fields), "text")
    if took:
        store.move_run(run.run_id, RunState.RUNNING, 60.0 * number)
        store.move_run(run.run_id, RunState.SUCCEEDED, 60.0 * number + took)
    return run.run_id


def ids(page):
    return [run.run_id for run in page.runs]


def test_the_newest_run_comes_first(store, listed):
    made(store, 1), made(store, 2)
    assert ids(listed.page(Filter())) == ["00000002-run", "00000001-run"]


def test_a_text_is_found_in_name_recipe_and_id_whatever_its_case(store, listed):
    by_name = made(store, 1, name="Nightly")
    by_recipe = made(store, 2, labels={"recipe": "recipes/nightly.toml"})
    made(store, 3)
    assert ids(listed.page(Filter(text="NIGHT"))) == [by_recipe, by_name]
    assert ids(listed.page(Filter(text="00000003"))) == ["00000003-run"]


@pytest.mark.parametrize("text", ["%", "_", "\\", "'"])
def test_signs_that_mean_something_to_the_database_are_only_signs(store, listed, text):
    made(store, 1)
    odd = made(store, 2, name=f"odd{text}name")
    assert ids(listed.page(Filter(text=text))) == [odd]


def test_recipe_experiment_state_and_label_filter_together(store, listed):
    labels = {"recipe": "a.toml", "team": "blue"}
    wanted = made(store, 1, took=5.0, labels=labels, experiment_id="e1")
    made(store, 2, took=5.0, labels=labels)
    made(store, 3, labels=labels, experiment_id="e1")
    made(store, 4, took=5.0, labels=labels | {"team": "red"}, experiment_id="e1")
    chosen = Filter(states=(RunState.SUCCEEDED,), recipe="a.toml", experiment_id="e1", tag="team=blue")
    assert ids(listed.page(chosen)) == [wanted]
    assert len(ids(listed.page(Filter(tag="team")))) == 4


def test_what_was_put_away_is_listed_only_when_asked_for_and_what_was_deleted_never(store, listed):
    kept, away, gone = made(store, 1), made(store, 2), made(store, 3, took=1.0)
    RunPages(store).archive(away, 0.0)
    RunPages(store).delete(gone, 1.0)
    assert ids(listed.page(Filter())) == [kept]
    assert ids(listed.page(Filter(archived=True))) == [away]
    RunPages(store).unarchive(away, 0.0)
    assert ids(listed.page(Filter())) == [away, kept]


def test_runs_that_have_not_ended_sort_as_if_they_took_nothing(store, listed):
    short, waiting, long = made(store, 1, took=5.0), made(store, 2), made(store, 3, took=50.0)
    assert ids(listed.page(Filter(), Order("took", descending=True))) == [long, short, waiting]


def test_an_unknown_sort_or_a_page_after_nothing_is_refused(listed):
    with pytest.raises(PipelineError, match="sorted by 'colour'"):
        listed.page(Filter(), Order("colour"))
    with pytest.raises(NotFound, match="no run 'x'"):
        listed.page(Filter(), Order(after="x"))


@settings(max_examples=25)
@given(
    runs=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=12),
    by=st.sampled_from(["started", "name", "took"]),
    descending=st.booleans(),
    size=st.integers(1, 5),
)
def test_pages_put_together_are_the_whole_list_without_gaps_or_repetitions(
    tmp_path_factory, runs, by, descending, size
):
    store = Store.open(tmp_path_factory.mktemp("pages") / "state")
    for number, (name, took) in enumerate(runs):
        made(store, number, name=name, took=float(took))
    listed = RunList(store)
    whole = ids(listed.page(Filter(), Order(by, descending), size=100))
    found, after = [], ""
    while True:
        page = listed.page(Filter(), Order(by, descending, after), size=size)
        found += ids(page)
        assert page.matching == len(runs)
        after = page.after
        if not after:
            break
    assert found == whole and len(set(found)) == len(runs)


def test_the_run_before_is_the_one_of_the_same_pipeline(store, listed):
    first = made(store, 1)
    made(store, 2, pipeline="other")
    last = made(store, 3)
    assert listed.previous(store.run(last)).run_id == first
    assert listed.previous(store.run(first)) is None


def test_the_journal_is_read_from_its_end_in_pages(store, listed):
    run_id = made(store, 1, took=5.0)
    newest = listed.events(run_id, 0, 2)
    older = listed.events(run_id, newest[-1].sequence, 10)
    assert [e.detail["state"] for e in newest + older] == ["SUCCEEDED", "RUNNING", "PENDING"]

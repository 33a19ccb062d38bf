"""`/runs`: which run was that?"""

import re

import pytest

from pipeline.engine.states import RunState


@pytest.fixture
def three(engine, two_steps_ir):
    """Oldest first: succeeded, failed, waiting; the second changed two parameters."""
    first = engine.create_run(two_steps_ir, {}, name="first", labels={"recipe": "recipes/demo.toml", "team": "blue"})
    second = engine.create_run(two_steps_ir, {"fail": True, "times": 2}, name="second", labels={"recipe": "other"})
    assert [engine.execute(run_id) for run_id in (first, second)] == [RunState.SUCCEEDED, RunState.FAILED]
    return first, second, engine.create_run(two_steps_ir, {"fail": True, "times": 2}, name="third")


def names(client, query=""):
    return [row["run"]["name"] for row in client.get(f"/runs?format=json{query}").json()["rows"]]


def test_an_empty_list_says_what_to_type(client):
    page = client.get("/runs").text
    assert "seamline run demo" in page and "<table" not in page


def test_each_run_is_a_row_with_a_tick_for_comparing(client, three):
    page = client.get("/runs").text
    assert page.count('type="checkbox" name="run"') == 3
    assert '<form id="compare" method="get" action="/compare"' in page
    for run_id in three:
        assert f'data-href="/runs/{run_id}"' in page


def test_a_row_says_what_changed_against_the_run_before(client, three):
    third, second, first = client.get("/runs?format=json").json()["rows"]
    assert first["changes"] == [] and first["against"] == ""
    assert second["changes"] == [
        {"name": "fail", "before": "false", "after": "true"},
        {"name": "times", "before": "1", "after": "2"},
    ]
    assert third["changes"] == [] and third["against"] == second["run"]["run_id"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("&state=failed", ["second"]),
        ("&recipe=recipes/demo.toml", ["first"]),
        ("&q=SEC", ["second"]),
        ("&tag=team%3Dblue", ["first"]),
        ("&archived=1", []),
        ("&sort=name", ["first", "second", "third"]),
        ("&sort=-name", ["third", "second", "first"]),
    ],
)
def test_the_address_filters_and_sorts(client, three, query, found):
    assert names(client, query) == found


def test_a_state_that_no_run_has_is_refused_with_those_that_there_are(client):
    answer = client.get("/runs?state=happy")
    assert answer.status_code == 400 and "waiting, running" in answer.text


def test_nothing_found_is_not_an_empty_folder(client, three):
    page = client.get("/runs?q=nothing-like-that").text
    assert "No run matches." in page and "seamline run demo" not in page


def test_a_click_on_the_heading_turns_the_sort_round(client, three):
    page = client.get("/runs?sort=name").text
    assert re.search(r'aria-sort="ascending"><a href="/runs\?sort=-name">Run</a>', page)


def test_twenty_five_runs_a_page_and_the_next_page_goes_on_after_the_last(client, engine, two_steps_ir):
    for number in range(28):
        engine.create_run(two_steps_ir, {}, name=f"run{number:02d}")
    first = client.get("/runs?format=json").json()
    assert (len(first["rows"]), first["matching"]) == (25, 28)
    assert f'href="{first["next"]}"' in client.get("/runs").text
    assert [r["run"]["name"] for r in client.get(first["next"] + "&format=json").json()["rows"]] == [
        "run02",
        "run01",
        "run00",
    ]

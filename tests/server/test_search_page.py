"""`/search` finds runs and tasks by a piece of their name."""

import pytest


@pytest.fixture
def run_id(engine, two_steps_ir):
    run_id = engine.create_run(two_steps_ir, {}, name="winter")
    engine.execute(run_id)
    return run_id


def test_runs_and_tasks_are_found(client, run_id):
    assert f'href="/runs/{run_id}"' in client.get("/search?q=winter").text
    found = client.get("/search?q=shou&format=json").json()
    assert [item["task"]["label"] for item in found["tasks"]] == ["shout"] and found["runs"] == []


def test_the_beginning_of_a_runs_id_opens_the_run(client, run_id):
    assert client.get(f"/search?q={run_id[:8]}").headers["location"] == f"/runs/{run_id}"


def test_nothing_found_says_so_and_the_text_is_only_text(client, run_id):
    page = client.get("/search", params={"q": "<b>%"}).text
    assert "No run, and no task or picture" in page and "<b>%" not in page and "&lt;b&gt;%" in page


def test_without_a_text_there_is_a_field(client):
    assert 'name="q" autofocus' in client.get("/search").text

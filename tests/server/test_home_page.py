"""`/` says what runs, what failed and why, and what to do when there is nothing."""

import pytest

from pipeline.engine.recurring import RecurringRuns
from pipeline.engine.recurring_spec import RecurringSpec
from pipeline.engine.round_log import RoundLog
from pipeline.engine.round_records import Sighting, Source
from pipeline.engine.schedule import CronSchedule
from pipeline.engine.states import RunState


@pytest.fixture
def failed(engine, two_steps_ir):
    run_id = engine.create_run(two_steps_ir, {"fail": True}, name="broken")
    assert engine.execute(run_id) is RunState.FAILED
    return run_id


def test_an_empty_folder_says_what_to_type(client):
    page = client.get("/").text
    assert "Nothing is running" in page and "seamline run demo" in page and 'href="/submit"' in page


def test_a_run_that_waits_is_shown_with_what_it_waits_for(client, engine, two_steps_ir):
    run_id = engine.create_run(two_steps_ir, {}, name="patient")
    page = client.get("/").text
    assert "1 run in progress" in page and f"/runs/{run_id}" in page and "waits for its turn" in page


def test_a_first_run_tells_how_long_it_runs_and_promises_no_end(client, engine, services, slow_ir, tmp_path):
    run_id = engine.create_run(slow_ir, {"mark": str(tmp_path / "runs")})
    with services.store.exclusive():
        begun = engine.begin(services.reader.run(run_id))
        begun.turn()
        started = services.reader.run(run_id).started
        for page in ("/", f"/runs/{run_id}"):
            text = client.get(page).text
            assert "first time for some steps: no estimate yet" in text and f'data-since="{started}"' in text
        begun.run()


def test_a_failure_is_shown_with_its_cause_in_one_line_and_a_link_to_the_task(client, failed):
    page = client.get("/").text
    assert "1 failed" in page and f'href="/runs/{failed}/task?key=shout"' in page and "exit code 3" in page
    [found] = client.get("/?format=json").json()["failures"]
    assert (found["cause"]["task"]["label"], found["failed_tasks"]) == ("shout", 1)


def test_failures_that_were_seen_are_gone_and_later_ones_are_shown(client, engine, two_steps_ir, failed):
    until = client.get("/?format=json").json()["failures"][0]["run"]["ended"]
    answer = client.post("/seen", data={"until": until})
    assert answer.status_code == 303 and "seamline_seen" in answer.headers["set-cookie"]
    assert client.get("/?format=json").json()["failures"] == []
    engine.execute(engine.create_run(two_steps_ir, {"fail": True}, name="again"))
    assert [f["run"]["name"] for f in client.get("/?format=json").json()["failures"]] == ["again"]


def test_a_time_that_is_none_is_refused_in_words(client):
    answer = client.post("/seen", data={"until": "yesterday"})
    assert answer.status_code == 400 and "is no time" in answer.text


def test_the_page_listens_to_every_run(client):
    assert '<main id="main" tabindex="-1" data-live="">' in client.get("/").text


def test_what_comes_next_is_told_in_words_the_soonest_first(client, services, two_steps_ir):
    store, table = services.store, RecurringRuns(services.store)
    digest = store.keep_pipeline(two_steps_ir)
    for name, cron in (("late", "0 0 23 31 12 *"), ("soon", "0 * * * * *"), ("paused", "0 * * * * *")):
        made = table.create(RecurringSpec(name, CronSchedule(cron), pipeline_digest=digest), services.clock.now())
    table.disable(made.recurring_id, services.clock.now())
    body = client.get("/?format=json").json()
    assert [item["name"] for item in body["due"]] == ["soon", "late"]
    assert "Every minute" in client.get("/").text


def test_a_watched_folder_says_what_its_newest_round_waits_for(client, services):
    log = RoundLog(services.store.database)
    log.put_source(Source("s", "/data/rounds", "demo", "demo", trouble="the folder is gone"))
    log.put_sighting(Sighting("s", "round3", "f", 10, 1000, 0.0, "boot", 0.0, waiting="is still being written"))
    page = client.get("/").text
    assert "when a round lands" in page and "round3 is still being written" in page and "the folder is gone" in page

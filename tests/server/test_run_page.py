"""`/runs/{id}`: how far, how good, what next?"""

import re

import pytest

from pipeline.engine.states import RunState
from pipeline.server import assets


def run_of(engine, text, execute=True, **parameters):
    run_id = engine.create_run(text, parameters, name="mine", labels={"recipe": "recipes/demo.toml"})
    if execute:
        engine.execute(run_id)
    return run_id


@pytest.fixture
def failed(engine, two_steps_ir):
    return run_of(engine, two_steps_ir, fail=True, times=3)


@pytest.fixture
def succeeded(engine, two_steps_ir):
    return run_of(engine, two_steps_ir)


def test_a_beginning_of_the_id_leads_to_the_whole(client, succeeded):
    assert client.get(f"/runs/{succeeded[:6]}?tab=tasks").headers["location"] == f"/runs/{succeeded}?tab=tasks"
    assert client.get("/runs/latest").headers["location"] == f"/runs/{succeeded}"
    assert client.get("/runs/nonsense").status_code == 404


def test_a_failure_comes_first_with_cause_fix_last_lines_and_a_way_on(client, failed):
    page = client.get(f"/runs/{failed}").text
    assert page.index("exit code 3") < page.index('class="tabs"')
    assert "LOUD" in page and f"/runs/{failed}/rerun?key=shout" in page


def test_the_buttons_say_what_they_will_do(client, engine, two_steps_ir, failed, succeeded):
    assert "Retry: runs 1 task, keeps 1" in client.get(f"/runs/{failed}").text
    page = client.get(f"/runs/{succeeded}").text
    assert "Retry" not in page and "Stop" not in page and f"/submit?clone={succeeded}" in page
    assert "Stop this run" in client.get(f"/runs/{run_of(engine, two_steps_ir, execute=False)}").text


def test_a_retry_makes_the_run_ready_to_go_on(client, services, failed):
    assert client.post(f"/runs/{failed}/retry").headers["location"] == f"/runs/{failed}"
    assert services.reader.run(failed).state is RunState.PENDING


def test_what_succeeded_is_not_retried(client, succeeded):
    answer = client.post(f"/runs/{succeeded}/retry")
    assert answer.status_code == 409 and "nothing is left to retry" in answer.text


def test_a_run_that_waits_can_be_stopped_and_one_that_has_ended_not(client, engine, services, two_steps_ir):
    run_id = run_of(engine, two_steps_ir, execute=False)
    assert client.post(f"/runs/{run_id}/terminate").status_code == 303
    assert services.reader.run(run_id).state is RunState.CANCELED
    assert client.post(f"/runs/{run_id}/terminate").status_code == 409


def test_archiving_can_be_undone(client, services, succeeded):
    client.post(f"/runs/{succeeded}/archive")
    assert services.reader.run(succeeded).archived
    assert "Take out of the archive" in client.get(f"/runs/{succeeded}").text
    client.post(f"/runs/{succeeded}/archive", data={"archived": "0"})
    assert not services.reader.run(succeeded).archived


def test_a_pipeline_that_is_not_ours_opens_with_its_graph(client, succeeded):
    page = client.get(f"/runs/{succeeded}").text
    assert 'class="dag' in page and ">Board<" not in page
    assert f'href="/runs/{succeeded}/task?key=say"' in page
    assert client.get(f"/runs/{succeeded}?tab=board").status_code == 200  # an old address: the first tab


def test_no_page_has_inline_style_or_script(client, failed):
    for tab in ("dag", "tasks", "parameters", "cost", "events"):
        page = client.get(f"/runs/{failed}?tab={tab}").text
        for allowed in (assets.style(), assets.start()):  # by their hashes
            page = page.replace(f">{allowed}</", "></", 1)
        assert len(re.findall(r"<style></style>|<script data-console=\S+></script>", page)) == 2, tab
        assert not re.search(r"<style>[^<]|<script[^>]*>[^<]|\sstyle=|\son\w+=", page), tab


def test_tasks_lie_on_one_scale_and_can_be_chosen(client, failed):
    found = client.get(f"/runs/{failed}?tab=tasks&format=json").json()["bars"]
    say, shout = found
    assert 0 <= say["begin"] <= shout["begin"] <= 100 and say["length"] > 0
    assert shout["begin"] + shout["length"] <= 100.001
    chosen = client.get(f"/runs/{failed}?tab=tasks&format=json&state=failed").json()["bars"]
    assert [bar["task"]["name"] for bar in chosen] == ["shout"]
    assert "No task matches." in client.get(f"/runs/{failed}?tab=tasks&q=nothing").text


def test_a_task_says_as_what_its_last_attempt_ran(client, engine, two_steps_ir, succeeded):
    page = client.get(f"/runs/{succeeded}?tab=tasks")
    assert len(re.findall(r">process \d+<", page.text)) == 2
    again = run_of(engine, two_steps_ir)
    assert client.get(f"/runs/{again}?tab=tasks&format=json").json()["ran_as"] == {}, "what is reused did not run"


def test_a_task_says_why_it_ran_or_was_reused(client, engine, two_steps_ir, succeeded):
    again = run_of(engine, two_steps_ir)
    for run_id, word in ((succeeded, "never run before"), (again, "cached")):
        bars = client.get(f"/runs/{run_id}?tab=tasks&format=json").json()["bars"]
        assert all(word in bar["why"] for bar in bars)
    assert client.get(f"/runs/{again}?tab=cost&format=json").json()["total"]["reused"] == 2


def test_parameters_show_their_defaults_and_what_was_there_before(client, engine, two_steps_ir):
    before = run_of(engine, two_steps_ir, execute=False, word="hello", times=2)
    run_id = run_of(engine, two_steps_ir, execute=False, word="ahoy", times=2)
    body = client.get(f"/runs/{run_id}?tab=parameters&format=json").json()
    rows = {row["name"]: row for group in body["groups"] for row in group["rows"]}
    assert (rows["word"]["value"], rows["word"]["default"], rows["word"]["before"]) == ("ahoy", "hello", "hello")
    assert rows["times"]["is_default"] is False and rows["times"]["differs"] is False
    assert rows["share"]["is_default"] is True
    assert body["against"] == before and body["changes"] == [{"name": "word", "before": "hello", "after": "ahoy"}]


def test_a_rerun_is_compared_with_its_source_and_shows_what_it_set(client, engine, succeeded):
    rerun = engine.rerun(succeeded, "say", {"times": "7"})
    body = client.get(f"/runs/{rerun}?tab=parameters&format=json").json()
    assert body["overridden"] == [{"name": "say.times", "before": "", "after": "7"}]
    assert body["against"] == succeeded and "which this run repeats" in client.get(f"/runs/{rerun}?tab=parameters").text


def test_the_cost_of_a_step_is_the_sum_over_its_attempts(client, failed):
    body = client.get(f"/runs/{failed}?tab=cost&format=json").json()
    assert [cost["step"] for cost in body["costs"]] == ["say", "shout"]
    assert body["total"]["seconds"] == pytest.approx(sum(cost["seconds"] for cost in body["costs"]))
    assert body["total"]["ran"] == 2 and body["total"]["reused"] == 0 and body["total"]["gpu_s"] == 0


def test_events_are_told_newest_first(client, failed):
    events = client.get(f"/runs/{failed}?tab=events&format=json").json()["events"]
    assert [event["sequence"] for event in events] == sorted((e["sequence"] for e in events), reverse=True)
    assert (events[0]["kind"], events[0]["detail"]["state"]) == ("run", "FAILED")
    answer = client.get(f"/runs/{failed}?tab=events&before=x")
    assert answer.status_code == 400 and "no whole number" in answer.text


def test_a_run_without_a_report_says_so(client, succeeded):
    assert client.get(f"/runs/{succeeded}/report").status_code == 404


def test_a_report_is_served_with_no_rights_at_all(client, services, succeeded, tmp_path, monkeypatch):
    page = tmp_path / "report.html"
    page.write_text("<script>alert(1)</script>")
    monkeypatch.setattr(type(services.domain.results), "report", lambda *_: page)
    answer = client.get(f"/runs/{succeeded}/report")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox;") and "allow-scripts" not in policy and "script-src" not in policy
    assert '<iframe class="report" data-keep sandbox ' in client.get(f"/runs/{succeeded}?tab=report").text

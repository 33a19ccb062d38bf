"""Schedules in the console: made from a run, previewed, edited, paused without surprise, run now."""

from dataclasses import dataclass, field, replace

import pytest

from pipeline.console.notices import LocalNotices
from pipeline.engine.recurring import RecurringRuns
from pipeline.notices import Undelivered

WHEN = {"kind": "cron", "cron": "30 2 * * MON-FRI", "time_zone": "Europe/Berlin"}


@pytest.fixture
def source(engine, two_steps_ir):
    return engine.create_run(two_steps_ir, {"word": "nightly"}, name="the demo")


@pytest.fixture
def schedule(client, source):
    """Address of a schedule that was made from a run."""
    form = {"display_name": "nightly", "source": f"run:{source}", "parameters": '{"word": "nightly"}', **WHEN}
    answer = client.post("/schedules/new", data=form)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def shown(client, address):
    return client.get(address, params={"format": "json"}).json()["row"]


def test_a_run_becomes_a_schedule_with_its_pipeline_and_its_parameters(client, source):
    form = client.get("/schedules/new", params={"run": source, "format": "json"}).json()["form"]
    assert (form["display_name"], form["source"]) == ("the demo", f"run:{source}")
    assert '"word": "nightly"' in form["parameters"]


def test_a_bare_post_schedules_a_run_with_the_parameters_that_it_had(client, source):
    made = client.post("/schedules/new", data={"source": f"run:{source}"})
    assert made.status_code == 303, made.text
    spec = shown(client, made.headers["location"])["recurring"]["spec"]
    assert (spec["display_name"], spec["parameters"]["word"]) == ("the demo", "nightly")


def test_a_field_that_an_edit_does_not_send_stays_as_it_is(client, schedule):
    assert client.post(schedule + "/edit", data={"display_name": "renamed"}).status_code == 303
    row = shown(client, schedule)
    assert row["recurring"]["spec"]["display_name"] == "renamed"
    assert row["recurring"]["spec"]["parameters"] == {"word": "nightly"} and "02:30" in row["words"]


def test_parameters_that_are_cleared_are_gone(client, schedule):
    assert client.post(schedule + "/edit", data={"parameters": "{}"}).status_code == 303
    assert shown(client, schedule)["recurring"]["spec"]["parameters"] == {}


def test_the_next_five_times_and_the_words_show_before_anything_is_made(client):
    data = client.get("/schedules/new", params={**WHEN, "format": "json"}).json()
    assert data["words"] == "At 02:30, Monday through Friday (Europe/Berlin)"
    assert len(data["next_times"]) == 5 and data["next_times"] == sorted(data["next_times"])
    assert client.get("/schedules", params={"format": "json"}).json()["rows"] == []


def test_a_wrong_cron_is_said_in_the_preview_and_nothing_typed_is_lost(client, source):
    form = {"display_name": "x", "source": f"run:{source}", "cron": "61 2 * * *", "parameters": '{"word": "kept"}'}
    answer = client.post("/schedules/new", data=form)
    assert answer.status_code == 400
    assert 'value="61 2 * * *"' in answer.text and "kept" in answer.text and 'role="alert"' in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": ""},
        {"source": "pipeline:nothing"},
        {"parameters": "[]"},
        {"parameters": '{"wrod": 1}'},
        {"max_concurrency": "11"},
        {"time_zone": "Mars/Olympus"},
        {"kind": "interval", "every": "0"},
        {"kind": "interval", "every": "x"},
        {"kind": "interval", "unit": "eons"},
        {"start": "soon"},
        {"display_name": " "},
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(client, source, wrong):
    form = {"display_name": "x", "source": f"run:{source}", **WHEN, **wrong}
    assert client.post("/schedules/new", data=form).status_code == 400
    assert client.get("/schedules", params={"format": "json"}).json()["rows"] == []


def test_everything_of_a_schedule_can_be_edited(client, schedule):
    form = client.get(schedule + "/edit", params={"format": "json"}).json()["form"]
    form |= {"kind": "interval", "every": "6", "unit": "hours", "display_name": "four a day", "max_concurrency": "2"}
    assert client.post(schedule + "/edit", data=form).headers["location"] == schedule
    row = shown(client, schedule)
    assert row["words"] == "Every 6 h"
    assert row["recurring"]["spec"]["max_concurrency"] == 2
    assert row["recurring"]["spec"]["parameters"] == {"word": "nightly"}


def test_an_edit_that_changes_nothing_keeps_everything(client, schedule):
    before = shown(client, schedule)["recurring"]["spec"]
    form = client.get(schedule + "/edit", params={"format": "json"}).json()["form"]
    client.post(schedule + "/edit", data=form)
    assert shown(client, schedule)["recurring"]["spec"] == before


def test_paused_it_shows_no_next_times_and_resuming_says_what_it_skips(client, schedule, services):
    client.post(schedule + "/pause")
    row = shown(client, schedule)
    assert (row["recurring"]["mode"], row["next_times"]) == ("DISABLED", [])
    table = RecurringRuns(services.store)
    week_ago = {"last_due": row["recurring"]["last_due"] - 8 * 86400}
    services.store.database.update("recurring_runs", week_ago, {"recurring_id": schedule.rpartition("/")[2]})
    assert len(shown(client, schedule)["missed"]) == 1, "of the times missed only the latest would launch"
    assert "Resume, skip 1 missed time" in client.get(schedule).text
    client.post(schedule + "/resume")
    assert shown(client, schedule)["missed"] == [] and table.runs(schedule.rpartition("/")[2]) == []


def test_run_now_makes_a_run_at_once_and_leads_to_it(client, schedule, services):
    location = client.post(schedule + "/run-now").headers["location"]
    run = services.reader.run(location.rpartition("/")[2])
    assert (run.parameters["word"], run.state) == ("nightly", "PENDING")
    assert [r["run_id"] for r in shown(client, schedule)["runs"]] == [run.run_id]


def test_deleted_it_is_gone_and_its_runs_stay(client, schedule, services):
    run_id = client.post(schedule + "/run-now").headers["location"].rpartition("/")[2]
    assert client.post(schedule + "/delete").headers["location"] == "/schedules"
    assert client.get(schedule).status_code == 404
    assert services.reader.run(run_id)


def test_an_unknown_action_or_schedule_is_not_found(client, schedule):
    assert client.post(schedule + "/explode").status_code == 404
    assert client.get("/schedules/nothing").status_code == 404


def test_a_receiver_of_webhooks_is_added_and_removed_and_its_path_is_never_shown(client):
    added = client.post("/notifications", data={"url": "https://hooks.example.org/secret/path", "moment": "ended"})
    assert added.status_code == 303
    page = client.get("/notifications")
    assert "https://hooks.example.org/…" in page.text and "secret/path" not in page.text
    found = client.get("/notifications", params={"format": "json"}).json()["receivers"]
    client.post(f"/notifications/{found[0]['notification_id']}/remove")
    assert client.get("/notifications", params={"format": "json"}).json()["receivers"] == []


@dataclass
class Receiver:
    """Takes what is sent to it, or answers with an error."""

    problem: str = ""
    got: list[bytes] = field(default_factory=list)

    def post(self, url, body, headers):
        if self.problem:
            raise Undelivered(self.problem)
        self.got.append(body)


@pytest.fixture
def receiver(client, services, monkeypatch):
    """The address of the one receiver of webhooks, and what it got."""
    one = Receiver()
    monkeypatch.setattr(services, "domain", replace(services.domain, notices=LocalNotices(one)))
    client.post("/notifications", data={"url": "https://hooks.example.org/secret/path"})
    [found] = client.get("/notifications", params={"format": "json"}).json()["receivers"]
    return f"/notifications/{found['notification_id']}", one


def test_a_test_message_is_sent_at_once_and_the_page_says_that_it_arrived(client, receiver):
    address, one = receiver
    assert f'action="{address}/test"' in client.get("/notifications").text
    page = client.post(f"{address}/test")
    assert page.status_code == 200 and "The test reached https://hooks.example.org/…" in page.text
    assert b"this is a test" in one.got[0] and len(one.got) == 1


def test_a_test_message_that_does_not_arrive_says_why(client, receiver):
    address, one = receiver
    one.problem = "HTTP 404"
    page = client.post(f"{address}/test")
    assert page.status_code == 502 and "HTTP 404" in page.text and "secret/path" not in page.text


def test_a_test_for_nobody_is_not_found(client):
    assert client.post("/notifications/nobody/test").status_code == 404


def test_an_address_that_is_none_is_said_beside_the_form(client):
    answer = client.post("/notifications", data={"url": "ftp://x"})
    assert answer.status_code == 400 and 'role="alert"' in answer.text

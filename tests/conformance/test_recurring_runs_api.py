"""Recurring runs made with `kfp.Client`, launched by the server's own ticker."""

import json
import time
from datetime import UTC, datetime, timedelta

import kfp
import pytest

pytestmark = pytest.mark.slow
WAIT_S = 60
UNFINISHED = ("PENDING", "RUNNING", "CANCELING")


@pytest.fixture
def client(server):
    return kfp.Client(host=server.url)


@pytest.fixture
def experiment_id(client):
    return client.create_experiment("Recurring").experiment_id


@pytest.fixture
def launched(client):
    """The runs that a recurring run has made, oldest due first."""

    def ask(recurring):
        own = {"operation": "EQUALS", "key": "recurring_run_id", "stringValue": recurring.recurring_run_id}
        found = client.list_runs(page_size=50, filter=json.dumps({"predicates": [own]}), sort_by="scheduled_at asc")
        return found.runs or []

    return ask


def wait_until(condition):
    until = time.monotonic() + WAIT_S
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def missed():
    """A window of five seconds that is over."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=30)
    return begin, begin + timedelta(seconds=4)


def test_an_interval_launches_until_it_is_disabled(client, experiment_id, packages, launched):
    made = client.create_recurring_run(
        experiment_id,
        "every second",
        interval_second=1,
        pipeline_package_path=packages("greeting.yaml"),
        params={"text": "run [[Index]]"},
    )
    assert wait_until(lambda: len(launched(made)) >= 2)
    client.disable_recurring_run(made.recurring_run_id)
    runs = launched(made)
    assert runs[0].recurring_run_id == made.recurring_run_id
    assert [r.runtime_config.parameters["text"] for r in runs[:2]] == ["run 1", "run 2"]
    assert client.wait_for_run_completion(runs[0].run_id, WAIT_S, sleep_duration=1).state == "SUCCEEDED"


def test_what_was_missed_is_caught_up_no_more_at_a_time_than_asked(client, experiment_id, packages, launched, missed):
    made = client.create_recurring_run(
        experiment_id,
        "catching up",
        cron_expression="* * * * * *",
        start_time=stamp(missed[0]),
        end_time=stamp(missed[1]),
        max_concurrency=2,
        pipeline_package_path=packages("resting.yaml"),
        params={"seconds": 1},
    )
    most = 0

    def all_done():
        nonlocal most
        states = [run.state for run in launched(made)]
        most = max(most, sum(state in UNFINISHED for state in states))
        return len(states) == 5 and not set(states) & set(UNFINISHED)

    assert wait_until(all_done)
    assert most == 2
    due = [run.scheduled_at for run in launched(made)]
    assert due == [missed[0] + timedelta(seconds=i) for i in range(5)]
    assert all(run.created_at > run.scheduled_at for run in launched(made))


def test_without_catching_up_only_the_latest_missed_time_fires(client, experiment_id, packages, launched, missed):
    made = client.create_recurring_run(
        experiment_id,
        "latest only",
        cron_expression="* * * * * *",
        start_time=stamp(missed[0]),
        end_time=stamp(missed[1]),
        no_catchup=True,
        pipeline_package_path=packages("greeting.yaml"),
    )
    runs = wait_until(lambda: launched(made))
    time.sleep(2)
    assert [run.scheduled_at for run in runs] == [missed[1]]
    assert len(launched(made)) == 1


def test_a_disabled_one_launches_nothing_until_it_is_enabled(client, experiment_id, packages, launched):
    made = client.create_recurring_run(
        experiment_id, "later", interval_second=1, pipeline_package_path=packages("greeting.yaml"), enabled=False
    )
    time.sleep(2)
    assert launched(made) == []
    client.enable_recurring_run(made.recurring_run_id)
    assert wait_until(lambda: launched(made))
    client.delete_recurring_run(made.recurring_run_id)

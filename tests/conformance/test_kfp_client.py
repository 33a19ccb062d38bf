"""`kfp.Client`, unmodified, against the real server."""

import json
import shutil
import tarfile
import time
import zipfile
from pathlib import Path

import kfp
import kfp_server_api
import pytest

pytestmark = pytest.mark.slow
WAIT_S = 60


@pytest.fixture
def client(server):
    return kfp.Client(host=server.url)


@pytest.fixture(scope="module")
def stored(server, packages):
    """A pipeline in the catalogue: (pipeline id, version id)."""
    client = kfp.Client(host=server.url)
    made = client.upload_pipeline(packages("greeting.yaml"), "Greeting", description="says hello")
    version = client.list_pipeline_versions(made.pipeline_id).pipeline_versions[0]
    return made.pipeline_id, version.pipeline_version_id


@pytest.fixture
def experiment(client):
    return client.create_experiment("Tests", description="of the client")


def finish(client, run):
    return client.wait_for_run_completion(run.run_id, WAIT_S, sleep_duration=1)


def test_a_pipeline_is_found_by_its_name_and_listed_with_its_version(client, stored):
    assert client.get_pipeline_id("Greeting") == stored[0]
    assert client.get_pipeline_id("No such") is None
    assert client.get_pipeline(stored[0]).description == "says hello"
    assert "Greeting" in [p.display_name for p in client.list_pipelines(page_size=5).pipelines]
    version = client.get_pipeline_version(*stored)
    assert version.pipeline_spec["pipelineInfo"]["name"] == "greeting"


def test_a_run_of_a_version_succeeds_and_says_what_it_did(client, stored, experiment):
    run = client.run_pipeline(
        experiment.experiment_id, "once", params={"times": 2}, pipeline_id=stored[0], version_id=stored[1]
    )
    done = finish(client, run)
    assert done.state == "SUCCEEDED"
    assert done.experiment_id == experiment.experiment_id
    assert done.runtime_config.parameters == {"text": "hello", "times": 2, "share": 0.5, "shout": False, "gate": ""}
    assert [s.state for s in done.state_history] == ["PENDING", "RUNNING", "SUCCEEDED"]
    tasks = {task.display_name: task for task in done.run_details.task_details}
    assert tasks["greet"].state == "SUCCEEDED"
    assert tasks["greet"].outputs["note"].artifact_ids
    assert done.created_at <= done.finished_at


def test_a_run_of_a_file_goes_to_the_named_experiment_or_to_default(client, packages):
    run = client.create_run_from_pipeline_package(packages("greeting.yaml"), {"text": "hi"}, experiment_name="Files")
    assert finish(client, run).state == "SUCCEEDED"
    assert client.get_experiment(experiment_name="Files").experiment_id == client.get_run(run.run_id).experiment_id
    other = client.create_run_from_pipeline_package(packages("greeting.yaml"), {})
    assert client.get_experiment(experiment_name="Default").experiment_id == client.get_run(other.run_id).experiment_id


def test_a_run_of_a_function_and_with_caching_switched_off(client):
    from tests.conformance.conftest import greeting

    first = client.create_run_from_pipeline_func(greeting, {"text": "cached?"}, enable_caching=True)
    assert finish(client, first).state == "SUCCEEDED"
    again = client.create_run_from_pipeline_func(greeting, {"text": "cached?"}, enable_caching=True)
    assert finish(client, again).state == "SUCCEEDED"
    anew = client.create_run_from_pipeline_func(greeting, {"text": "cached?"}, enable_caching=False)
    assert finish(client, anew).state == "SUCCEEDED"

    def attempts(run):
        task = next(t for t in client.get_run(run.run_id).run_details.task_details if t.display_name == "greet")
        return [s.state for s in task.state_history].count("RUNNING")

    assert (attempts(first), attempts(again), attempts(anew)) == (1, 0, 1)


def test_a_failed_run_is_retried_and_goes_on_where_it_failed(client, packages, tmp_path):
    gate = tmp_path / "gate"
    run = client.create_run_from_pipeline_package(packages("greeting.yaml"), {"gate": str(gate), "text": "retried"})
    failed = finish(client, run)
    assert failed.state == "FAILED"
    assert "pass-gate" in failed.error.message
    gate.touch()
    client.runs.run_service_retry_run(run.run_id)
    done = finish(client, run)
    assert done.state == "SUCCEEDED"
    runs = {t.display_name: [s.state for s in t.state_history].count("RUNNING") for t in done.run_details.task_details}
    assert runs == {"greet": 1, "pass-gate": 2}
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.runs.run_service_retry_run(run.run_id)
    assert refused.value.status == 409


def test_a_terminated_run_is_canceled(client, packages):
    run = client.create_run_from_pipeline_package(packages("resting.yaml"), {})
    while client.get_run(run.run_id).state != "RUNNING":
        time.sleep(0.1)
    client.terminate_run(run.run_id)
    while (state := client.get_run(run.run_id).state) not in ("CANCELED", "FAILED", "SUCCEEDED"):
        time.sleep(0.1)
    assert state == "CANCELED"  # `wait_for_run_completion` would wait for ever: it does not know this state


def test_runs_are_listed_by_pages_filtered_and_sorted(client, packages):
    experiment = client.create_experiment("Pages")
    made = [
        client.run_pipeline(experiment.experiment_id, f"page {i}", packages("greeting.yaml")).run_id for i in range(5)
    ]
    seen, token = [], ""
    while True:
        page = client.list_runs(token, page_size=2, sort_by="created_at desc", experiment_id=experiment.experiment_id)
        seen += [run.run_id for run in page.runs]
        assert page.total_size == 5
        token = page.next_page_token
        if not token:
            break
    assert seen == made[::-1]
    predicate = {"operation": 1, "key": "display_name", "stringValue": "page 3"}
    found = client.list_runs(filter=json.dumps({"predicates": [predicate]}))
    assert [run.run_id for run in found.runs] == [made[3]]


def test_archived_runs_are_told_apart_and_deleted_ones_are_gone(client, packages):
    run = client.create_run_from_pipeline_package(packages("greeting.yaml"), {}, run_name="to be put away")
    finish(client, run)
    client.archive_run(run.run_id)
    assert client.get_run(run.run_id).storage_state == "ARCHIVED"
    archived = json.dumps({"predicates": [{"operation": 1, "key": "storage_state", "stringValue": "ARCHIVED"}]})
    assert run.run_id in [r.run_id for r in client.list_runs(filter=archived).runs]
    client.unarchive_run(run.run_id)
    assert client.get_run(run.run_id).storage_state == "AVAILABLE"
    client.delete_run(run.run_id)
    with pytest.raises(kfp_server_api.ApiException) as gone:
        client.get_run(run.run_id)
    assert gone.value.status == 404


def test_experiments_are_archived_and_deleted(client):
    made = client.create_experiment("Passing")
    assert client.create_experiment("Passing").experiment_id == made.experiment_id
    client.archive_experiment(made.experiment_id)
    assert client.get_experiment(made.experiment_id).storage_state == "ARCHIVED"
    client.unarchive_experiment(made.experiment_id)
    assert "Passing" in [e.display_name for e in client.list_experiments(page_size=50).experiments]
    client.delete_experiment(made.experiment_id)
    with pytest.raises(ValueError, match="No experiment is found"):
        client.get_experiment(experiment_name="Passing")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_packed_pipelines_are_versions_too(client, stored, packages, tmp_path, kind):
    packed = tmp_path / f"packed.{kind}"
    source = Path(shutil.copy(packages("greeting.yaml"), tmp_path / "pipeline.yaml"))
    if kind == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(source, source.name)
    else:
        with tarfile.open(packed, "w:gz") as archive:
            archive.add(source, source.name)
    version = client.upload_pipeline_version(str(packed), f"packed {kind}", pipeline_id=stored[0])
    assert version.display_name == f"packed {kind}"
    newest = client.list_pipeline_versions(stored[0], page_size=1, sort_by="created_at desc").pipeline_versions[0]
    assert newest.pipeline_version_id == version.pipeline_version_id
    client.delete_pipeline_version(stored[0], version.pipeline_version_id)


def test_a_pipeline_with_versions_is_not_deleted_by_accident(client, packages):
    made = client.upload_pipeline(packages("resting.yaml"), "Passing pipeline")
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.delete_pipeline(made.pipeline_id)
    assert refused.value.status == 409
    version = client.list_pipeline_versions(made.pipeline_id).pipeline_versions[0]
    client.delete_pipeline_version(made.pipeline_id, version.pipeline_version_id)
    client.delete_pipeline(made.pipeline_id)
    assert client.get_pipeline_id("Passing pipeline") is None


def test_recurring_runs_by_cron_and_by_interval(client, stored, experiment, packages):
    cron = client.create_recurring_run(
        experiment.experiment_id,
        "nightly",
        cron_expression="0 30 2 * * ?",
        pipeline_id=stored[0],
        version_id=stored[1],
        max_concurrency=2,
        no_catchup=True,
        params={"share": "0.3"},
    )
    assert (cron.trigger.cron_schedule.cron, cron.status, cron.max_concurrency) == ("0 30 2 * * ?", "ENABLED", "2")
    assert cron.runtime_config.parameters == {"share": 0.3}
    interval = client.create_recurring_run(
        experiment.experiment_id,
        "hourly",
        interval_second=3600,
        pipeline_package_path=packages("greeting.yaml"),
        enabled=False,
    )
    assert (interval.trigger.periodic_schedule.interval_second, interval.status) == ("3600", "DISABLED")
    client.enable_recurring_run(interval.recurring_run_id)
    assert client.get_recurring_run(interval.recurring_run_id).status == "ENABLED"
    client.disable_recurring_run(interval.recurring_run_id)
    listed = client.list_recurring_runs(
        experiment_id=experiment.experiment_id, sort_by="created_at desc"
    ).recurring_runs
    assert [r.display_name for r in listed] == ["hourly", "nightly"]
    for one in listed:
        client.delete_recurring_run(one.recurring_run_id)
    assert not client.list_recurring_runs(experiment_id=experiment.experiment_id).recurring_runs


def test_the_page_says_which_routes_this_client_has_driven(server, check_against_page):
    check_against_page("kfp.Client", server.driven())

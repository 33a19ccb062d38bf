"""Runs, experiments, recurring runs: what KFP's backend decides, decided here."""

import pytest
import yaml

V2 = "/apis/v2beta1"
RUNS = f"{V2}/runs"
DEFAULT = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def spec(two_steps_ir):
    return yaml.safe_load(two_steps_ir)


@pytest.fixture
def submit(client, spec):
    """Makes a run and returns the answer."""

    def make(**body):
        parameters = body.pop("parameters", {})
        return client.post(RUNS, json={"pipeline_spec": spec, "runtime_config": {"parameters": parameters}, **body})

    return make


@pytest.fixture
def finished(submit, engine):
    """Makes a run, executes it, and returns its id."""

    def make(**body):
        run_id = submit(**body).json()["run_id"]
        engine.execute(run_id)
        return run_id

    return make


def parameters_of(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["runtime_config"]["parameters"]


def test_parameters_get_the_types_that_the_pipeline_declares(submit):
    given = {"word": 5, "times": "3", "share": "0.25", "fail": "true"}
    assert parameters_of(submit(parameters=given)) == {"word": "5", "times": 3, "share": 0.25, "fail": True}
    assert parameters_of(submit()) == {"word": "hello", "times": 1, "share": 0.5, "fail": False}
    assert parameters_of(submit(parameters={"fail": "False", "share": 1}))["fail"] is False


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"wrod": "x"}, "did you mean 'word'?"),
        ({"times": 1.5}, "takes NUMBER_INTEGER"),
        ({"times": "many"}, "takes NUMBER_INTEGER"),
        ({"times": True}, "takes NUMBER_INTEGER"),
        ({"share": []}, "takes NUMBER_DOUBLE"),
        ({"fail": "yes"}, "takes BOOLEAN"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(submit, parameters, said):
    answer = submit(parameters=parameters)
    assert answer.status_code == 400
    assert said in answer.json()["message"]


def test_literals_are_enforced(submit, spec):
    spec["root"]["inputDefinitions"]["parameters"]["word"]["literals"] = ["hello", "bye"]
    assert parameters_of(submit(parameters={"word": "bye"}))["word"] == "bye"
    assert "one of" in submit(parameters={"word": "ciao"}).json()["message"]


def test_camel_case_bodies_are_understood_too(client, spec):
    body = {"displayName": "named", "pipelineSpec": spec, "runtimeConfig": {"parameters": {"times": 2}}}
    answer = client.post(RUNS, json=body).json()
    assert (answer["display_name"], answer["runtime_config"]["parameters"]["times"]) == ("named", 2)


def test_a_run_belongs_to_default_unless_an_experiment_is_named(client, submit):
    assert submit().json()["experiment_id"] == DEFAULT
    own = client.post(f"{V2}/experiments", json={"display_name": "own"}).json()["experiment_id"]
    run_id = submit(experiment_id=own).json()["run_id"]
    listed = client.get(RUNS, params={"experiment_id": own, "namespace": "kubeflow"}).json()
    assert [run["run_id"] for run in listed["runs"]] == [run_id]
    assert submit(experiment_id="nowhere").status_code == 404
    assert client.get(f"{V2}/experiments/{own}").json()["last_run_created_at"]


def test_a_deleted_experiment_leaves_its_runs_to_default(client, submit):
    own = client.post(f"{V2}/experiments", json={"display_name": "own"}).json()["experiment_id"]
    run_id = submit(experiment_id=own).json()["run_id"]
    assert client.delete(f"{V2}/experiments/{own}").json() == {}
    assert client.get(f"{RUNS}/{run_id}").json()["experiment_id"] == DEFAULT
    assert client.delete(f"{V2}/experiments/{DEFAULT}").status_code == 409


def test_an_archived_experiment_takes_its_runs_along_and_takes_no_new_ones(client, submit):
    own = client.post(f"{V2}/experiments", json={"display_name": "own"}).json()["experiment_id"]
    run_id = submit(experiment_id=own).json()["run_id"]
    client.post(f"{V2}/experiments/{own}:archive")
    assert client.get(f"{RUNS}/{run_id}").json()["storage_state"] == "ARCHIVED"
    assert submit(experiment_id=own).status_code == 409
    assert client.post(f"{RUNS}/{run_id}:unarchive").status_code == 409
    client.post(f"{V2}/experiments/{own}:unarchive")
    assert client.post(f"{RUNS}/{run_id}:unarchive").json() == {}
    assert client.get(f"{RUNS}/{run_id}").json()["storage_state"] == "AVAILABLE"


def test_a_failed_run_names_the_task_and_its_reason_and_can_be_retried(client, finished):
    run_id = finished(parameters={"fail": True})
    run = client.get(f"{RUNS}/{run_id}").json()
    assert run["state"] == "FAILED"
    assert run["error"]["code"] == 2 and "shout" in run["error"]["message"]
    failed = next(t for t in run["run_details"]["task_details"] if t["display_name"] == "shout")
    assert [s["state"] for s in failed["state_history"]][-1] == "FAILED" and failed["error"]["message"]
    assert client.post(f"{RUNS}/{run_id}:retry").json() == {}
    assert client.get(f"{RUNS}/{run_id}").json()["state"] == "PENDING"


@pytest.mark.parametrize("action", ["retry", "terminate"])
def test_what_the_state_does_not_allow_is_a_conflict(client, finished, action):
    answer = client.post(f"{RUNS}/{finished()}:{action}")
    assert (answer.status_code, answer.json()["code"]) == (409, 9)


def test_a_run_that_waits_can_be_terminated_but_neither_retried_nor_deleted(client, submit):
    run_id = submit().json()["run_id"]
    assert client.post(f"{RUNS}/{run_id}:retry").status_code == 409
    assert client.delete(f"{RUNS}/{run_id}").status_code == 409
    assert client.post(f"{RUNS}/{run_id}:terminate").json() == {}
    assert client.get(f"{RUNS}/{run_id}").json()["state"] == "CANCELED"


def test_a_deleted_run_is_gone_but_what_it_made_serves_the_cache(client, finished):
    first = finished()
    assert client.delete(f"{RUNS}/{first}").json() == {}
    assert client.get(f"{RUNS}/{first}").status_code == 404
    assert "runs" not in client.get(RUNS).json()
    again = client.get(f"/seamline/v1/runs/{finished()}/tasks").json()["tasks"]
    assert [t["word"] for t in again] == ["reused", "reused"]


def test_only_a_whole_id_names_a_run_because_a_beginning_could_delete_another(client, submit):
    run_id = submit().json()["run_id"]
    assert client.get(f"{RUNS}/{run_id[:8]}").status_code == 404
    assert client.delete(f"{RUNS}/latest").status_code == 404


def test_a_list_leaves_out_what_only_one_run_is_shown_with(client, finished):
    run_id = finished(display_name="short")
    listed = client.get(RUNS, params={"sort_by": "created_at desc"}).json()["runs"][0]
    assert (listed["run_id"], listed["display_name"]) == (run_id, "short")
    assert listed["created_at"].endswith("Z") and "run_details" not in listed


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "nothing to run"),
        ({"pipeline_spec": []}, "expected a JSON object"),
        ({"pipeline_spec": {}}, "no compiled KFP pipeline"),
        ({"pipeline_version_reference": {"pipeline_version_id": "x"}}, "no pipeline version 'x'"),
        ({"pipeline_version_reference": {"pipeline_id": "x"}}, "no pipeline 'x'"),
        ({"runtime_config": 3, "pipeline_spec": None}, "nothing to run"),
    ],
)
def test_a_request_that_names_nothing_to_run_is_refused(client, body, said):
    answer = client.post(RUNS, json=body)
    assert answer.status_code in (400, 404)
    assert said in answer.json()["message"]


@pytest.fixture
def schedule(client, spec):
    """Makes a recurring run and returns the answer."""

    def make(**body):
        trigger = {"cron_schedule": {"cron": "0 30 2 * * ?"}}
        whole = {"display_name": "nightly", "pipeline_spec": spec, "trigger": trigger, "mode": "ENABLE", **body}
        return client.post(f"{V2}/recurringruns", json=whole)

    return make


def test_a_recurring_run_keeps_what_it_was_given(client, schedule):
    parameters = {"share": "0.3", "word": "run [[Index]]", "times": "[[Index]]"}
    body = schedule(runtime_config={"parameters": parameters}, max_concurrency="3", no_catchup=True).json()
    assert body["runtime_config"]["parameters"] == {"share": 0.3, "word": "run [[Index]]", "times": "[[Index]]"}
    assert (body["status"], body["mode"], body["max_concurrency"]) == ("ENABLED", "ENABLE", "3")
    assert body["no_catchup"] is True and body["experiment_id"] == DEFAULT
    assert client.get(f"{V2}/recurringruns/{body['recurring_run_id']}").json() == body


def test_without_a_mode_a_recurring_run_is_disabled(schedule):
    assert schedule(mode=None).json()["status"] == "DISABLED"


def test_recurring_runs_are_listed_under_the_one_key_in_camel_case(client, schedule):
    for name in ("one", "two", "three"):
        schedule(display_name=name)
    page = client.get(f"{V2}/recurringruns", params={"page_size": 2, "sort_by": "created_at desc"}).json()
    assert [r["display_name"] for r in page["recurringRuns"]] == ["three", "two"]
    rest = client.get(f"{V2}/recurringruns", params={"page_token": page["next_page_token"]}).json()
    assert [r["display_name"] for r in rest["recurringRuns"]] == ["one"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"trigger": {}}, "one trigger"),
        ({"trigger": {"cron_schedule": {"cron": "every day"}}}, "cron"),
        ({"trigger": {"periodic_schedule": {"interval_second": "0"}}}, "at least 1"),
        ({"trigger": {"periodic_schedule": {"interval_second": 5, "start_time": "soon"}}}, "no time"),
        ({"max_concurrency": 11}, "1 to 10"),
        ({"max_concurrency": 0}, "1 to 10"),
        ({"mode": "SOMETIMES"}, "expected one of"),
        ({"display_name": ""}, "needs a name"),
        ({"pipeline_spec": None}, "nothing to run"),
        ({"runtime_config": {"parameters": {"wrod": 1}}}, "did you mean 'word'?"),
    ],
)
def test_a_recurring_run_that_could_not_launch_is_refused(schedule, body, said):
    answer = schedule(**body)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["message"]


def test_archiving_an_experiment_disables_its_recurring_runs(client, schedule):
    own = client.post(f"{V2}/experiments", json={"display_name": "own"}).json()["experiment_id"]
    recurring_id = schedule(experiment_id=own).json()["recurring_run_id"]
    client.post(f"{V2}/experiments/{own}:archive")
    assert client.get(f"{V2}/recurringruns/{recurring_id}").json()["status"] == "DISABLED"


def test_deleting_an_experiment_leaves_its_recurring_runs_to_default(client, schedule):
    own = client.post(f"{V2}/experiments", json={"display_name": "own"}).json()["experiment_id"]
    recurring_id = schedule(experiment_id=own).json()["recurring_run_id"]
    client.delete(f"{V2}/experiments/{own}")
    assert client.get(f"{V2}/recurringruns/{recurring_id}").json()["experiment_id"] == DEFAULT

"""The generated client `kfp_server_api` against the real server: what `kfp.Client` has no words for."""

import time

import kfp_server_api
import pytest
import yaml

pytestmark = pytest.mark.slow
WAIT_S = 60
ENDED = ("SUCCEEDED", "FAILED", "CANCELED")


@pytest.fixture(scope="module")
def connection(server):
    with kfp_server_api.ApiClient(kfp_server_api.Configuration(host=server.url)) as made:
        yield made


@pytest.fixture
def pipelines(connection):
    return kfp_server_api.PipelineServiceApi(connection)


@pytest.fixture
def runs(connection):
    return kfp_server_api.RunServiceApi(connection)


@pytest.fixture
def spec(packages):
    with open(packages("greeting.yaml"), encoding="utf-8") as text:
        return yaml.safe_load(text)


def wait(runs, run_id):
    until = time.monotonic() + WAIT_S
    while (run := runs.run_service_get_run(run_id)).state not in ENDED and time.monotonic() < until:
        time.sleep(0.1)
    return run


def test_there_are_no_name_spaces(connection):
    assert kfp_server_api.HealthzServiceApi(connection).healthz_service_get_healthz().multi_user is False


def test_a_pipeline_is_made_with_its_version_in_one_call_and_found_by_its_name(pipelines, spec):
    body = {"pipeline": {"display_name": "At once", "name": "at-once"}, "pipeline_version": {"pipeline_spec": spec}}
    made = pipelines.pipeline_service_create_pipeline_and_version(body)
    assert pipelines.pipeline_service_get_pipeline_by_name("at-once").pipeline_id == made.pipeline_id
    assert pipelines.pipeline_service_get_pipeline(made.pipeline_id).display_name == "At once"
    versions = pipelines.pipeline_service_list_pipeline_versions(made.pipeline_id)
    assert [v.display_name for v in versions.pipeline_versions] == ["at-once"]
    pipelines.pipeline_service_delete_pipeline(made.pipeline_id, cascade=True)
    with pytest.raises(kfp_server_api.ApiException) as gone:
        pipelines.pipeline_service_get_pipeline(made.pipeline_id)
    assert gone.value.status == 404


def test_a_pipeline_at_an_address_is_not_fetched(pipelines):
    version = {"package_url": {"pipeline_url": "http://127.0.0.1:9/pipeline.yaml"}}
    with pytest.raises(kfp_server_api.ApiException) as refused:
        pipelines.pipeline_service_create_pipeline_and_version({"pipeline": {"name": "x"}, "pipeline_version": version})
    assert refused.value.status == 400
    assert "opens no foreign address" in refused.value.body


def test_a_version_is_renamed_and_tagged(pipelines, spec):
    made = pipelines.pipeline_service_create_pipeline({"display_name": "Tagged"})
    version = pipelines.pipeline_service_create_pipeline_version(
        made.pipeline_id, {"display_name": "first", "pipeline_spec": spec}
    )
    ids = made.pipeline_id, version.pipeline_version_id
    changed = pipelines.pipeline_service_update_pipeline_version(
        *ids, {"display_name": "renamed", "description": "better", "tags": {"stage": "test"}}
    )
    assert (changed.display_name, changed.description, changed.tags) == ("renamed", "better", {"stage": "test"})
    again = pipelines.pipeline_service_update_pipeline_version(*ids, {"description": "best"})
    assert (again.display_name, again.description) == ("renamed", "best")
    assert pipelines.pipeline_service_get_pipeline_version(*ids).pipeline_spec["pipelineInfo"]["name"] == "greeting"
    assert pipelines.pipeline_service_update_pipeline(made.pipeline_id, {"display_name": "New"}).display_name == "New"


def test_without_a_version_id_the_newest_version_runs(pipelines, runs, spec):
    made = pipelines.pipeline_service_create_pipeline({"display_name": "Newest"})
    ids = []
    for name in ("old", "new"):
        body = {"display_name": name, "pipeline_spec": spec}
        ids.append(pipelines.pipeline_service_create_pipeline_version(made.pipeline_id, body).pipeline_version_id)
    run = runs.run_service_create_run({"pipeline_version_reference": {"pipeline_id": made.pipeline_id}})
    assert run.pipeline_version_reference.pipeline_version_id == ids[1]
    assert wait(runs, run.run_id).state == "SUCCEEDED"


def test_a_run_with_a_platform_says_what_it_was_made_of(runs, spec):
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}
    body = {"display_name": "both", "pipeline_spec": {"pipeline_spec": spec, "platform_spec": platform}}
    run = wait(runs, runs.run_service_create_run(body).run_id)
    assert run.state == "SUCCEEDED"
    assert run.pipeline_spec["platform_spec"] == platform
    assert run.pipeline_spec["pipeline_spec"]["pipelineInfo"]["name"] == "greeting"


def test_names_of_name_spaces_are_ignored(runs, connection):
    assert runs.run_service_list_runs(namespace="kubeflow").total_size
    experiments = kfp_server_api.ExperimentServiceApi(connection)
    assert experiments.experiment_service_list_experiments(namespace="kubeflow").experiments


def test_errors_say_what_to_do(runs):
    with pytest.raises(kfp_server_api.ApiException) as refused:
        runs.run_service_create_run({"display_name": "nothing"})
    assert refused.value.status == 400
    assert '"code":3' in refused.value.body and "give pipeline_version_reference or pipeline_spec" in refused.value.body


def test_the_page_says_which_routes_this_client_has_driven(server, check_against_page):
    check_against_page("kfp_server_api", server.driven())

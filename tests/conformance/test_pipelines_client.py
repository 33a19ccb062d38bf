"""`PipelinesClient` (`kfp.kubeflow_client`), unmodified, against the real server."""

import pytest
from kfp.kubeflow_client import PipelinesClient
from kfp.kubeflow_client.backends.kubernetes import KubernetesBackendConfig

pytestmark = pytest.mark.slow
WAIT_S = 60


@pytest.fixture
def client(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    return PipelinesClient(KubernetesBackendConfig(base_url=server.url))


def test_a_pipeline_is_uploaded_named_and_run(client, packages):
    version = client.upload_pipeline(packages("greeting.yaml"), name="greeting", version="v1", description="hello")
    assert version.display_name == "v1"
    assert client.get_pipeline("greeting").description == "hello"
    assert client.get_pipeline_version("greeting", "v1").pipeline_version_id == version.pipeline_version_id
    second = client.upload_pipeline(packages("greeting.yaml"), name="greeting", version="v2")
    assert [v.display_name for v in client.list_pipeline_versions("greeting").pipeline_versions] == ["v1", "v2"]
    run = client.run("greeting", params={"text": "hi"})
    assert run.pipeline_version_reference.pipeline_version_id == second.pipeline_version_id
    assert client.wait_for_run_status(run, timeout=WAIT_S, polling_interval=1).state == "SUCCEEDED"
    assert [r.run_id for r in client.list_runs(status="succeeded", pipeline="greeting").runs] == [run.run_id]
    client.delete_pipeline("greeting", version="v1")
    client.delete_pipeline("greeting")
    assert not client.list_pipelines().pipelines


def test_a_file_runs_in_an_experiment(client, packages):
    assert client.create_experiment("Named").display_name == "Named"
    assert client.get_experiment("Named").description is None
    run = client.run(packages("greeting.yaml"), experiment="Named", name="from a file")
    assert client.wait_for_run_status(run, timeout=WAIT_S, polling_interval=1).state == "SUCCEEDED"
    assert [r.display_name for r in client.list_runs(experiment="Named").runs] == ["from a file"]
    assert client.get_run(run.run_id).experiment_id == client.get_experiment("Named").experiment_id
    assert {e.display_name for e in client.list_experiments().experiments} == {"Default", "Named"}
    client.delete_experiment("Named")


def test_the_page_says_which_routes_this_client_has_driven(server, check_against_page):
    check_against_page("PipelinesClient", server.driven())

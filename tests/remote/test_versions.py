"""What is submitted is a version of a pipeline there: one for each recipe and code, found again if the same."""

import httpx
import pytest
from starlette.testclient import TestClient

from pipeline import code_identity, compile, recipe, remote_versions
from pipeline.errors import PipelineError
from pipeline.remote import Endpoint
from pipeline.remote_connection import Connection
from tests.remote.stock_kfp import StockKfp


@pytest.fixture
def cluster(tmp_path):
    return StockKfp(tmp_path / "state")


@pytest.fixture
def client(cluster):
    return TestClient(cluster.app, base_url="http://cluster")


@pytest.fixture
def endpoint(client):
    return Endpoint("http://cluster", client=client)


@pytest.fixture(scope="module")
def recipes():
    given = {"one": [], "other": ["round1.epochs=2"], "uncached": []}
    return {
        name: compile.compile_recipe(recipe.load("demo", overrides), cache=name != "uncached")
        for name, overrides in given.items()
    }


def versions(cluster):
    return [version["display_name"] for version in cluster.kept["versions"].values()]


def test_the_same_recipe_and_code_are_uploaded_once(client, cluster, recipes):
    connection = Connection("http://cluster", client=client)
    first = remote_versions.find_or_upload(connection, recipes["one"])
    assert remote_versions.find_or_upload(connection, recipes["one"]) == first
    assert len(cluster.kept["pipelines"]) == len(cluster.kept["versions"]) == 1
    assert cluster.texts[first.pipeline_version_id] == recipes["one"]


def test_another_recipe_and_other_code_are_other_versions_of_the_same_pipeline(client, cluster, recipes, monkeypatch):
    connection = Connection("http://cluster", client=client)
    for text in recipes.values():
        remote_versions.find_or_upload(connection, text)
    monkeypatch.setattr(code_identity, "identity", lambda command: "other code")
    remote_versions.find_or_upload(connection, recipes["one"])
    assert len(set(versions(cluster))) == 4 and len(cluster.kept["pipelines"]) == 1
    assert all(name.startswith("demo-") and len(name) == len("demo-") + 12 for name in versions(cluster))


def test_who_uploads_at_the_same_moment_finds_the_others_version(client, cluster, recipes):
    connection = Connection("http://cluster", client=client)
    made = remote_versions.find_or_upload(connection, recipes["one"])
    hidden = cluster.kept["versions"].copy()
    looks = []

    def late(request):
        looks.append(request.url.path)
        if request.url.path.endswith("/versions") and len([p for p in looks if p.endswith("/versions")]) == 1:
            return httpx.Response(200, json={})  # it was not there yet when we looked
        answer = client.request(request.method, str(request.url), content=request.content, headers=request.headers)
        return httpx.Response(answer.status_code, json=answer.json())

    racing = Connection("http://cluster", client=httpx.Client(transport=httpx.MockTransport(late), base_url="http://c"))
    assert remote_versions.find_or_upload(racing, recipes["one"]) == made
    assert cluster.kept["versions"] == hidden


def test_a_run_of_a_version_names_it_and_one_of_its_tasks_is_repeated(endpoint, cluster, machine, rounds_ir):
    run_id = endpoint.submit_version(rounds_ir, {"counter": str(machine.counter)}, "first", experiment="tries")
    again = endpoint.submit_version(rounds_ir, {"counter": str(machine.counter)}, "second", experiment="tries")
    assert endpoint.run(run_id).state == endpoint.run(again).state == "SUCCEEDED"
    assert len(cluster.kept["versions"]) == len(cluster.kept["experiments"]) == 1
    machine.ran()
    derived = endpoint.plan_rerun(run_id, "skirt/b/train", {})
    assert [row.label for row in derived.rows if row.action == "run"] == ["skirt/b/train", "skirt/merge", "report"]


def test_without_cache_no_task_of_the_version_may_be_cached(recipes):
    assert "enableCache" in recipes["one"] and "enableCache" not in recipes["uncached"]


def test_an_upload_that_is_refused_is_told_as_the_endpoint_tells_it(client, cluster):
    connection = Connection("http://cluster", client=client)
    with pytest.raises(PipelineError, match="no compiled KFP pipeline"):
        remote_versions.find_or_upload(connection, "a: 1")
    assert versions(cluster) == []

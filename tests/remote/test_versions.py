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


class Racer:
    """A client whose first look at one kind of things was too early: somebody else has made one since.

    Attributes:
        kind: last part of the path of what it looks at.
        is_blind: it never gets to see them.
    """

    def __init__(self, client: TestClient, kind: str, is_blind: bool = False) -> None:
        self.behind, self.kind, self.is_blind = client, kind, is_blind
        self.looks = 0
        self.client = httpx.Client(transport=httpx.MockTransport(self.answer), base_url="http://c")

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and request.url.path.endswith(f"/{self.kind}"):
            self.looks += 1
            if self.looks == 1 or self.is_blind:
                return httpx.Response(200, json={})
        there = self.behind.request(request.method, str(request.url), content=request.content, headers=request.headers)
        return httpx.Response(there.status_code, json=there.json())


@pytest.mark.parametrize("kind", ["pipelines", "versions"])
def test_who_uploads_at_the_same_moment_finds_what_the_other_has_made(client, cluster, recipes, kind):
    made = remote_versions.find_or_upload(Connection("http://cluster", client=client), recipes["one"])
    kept = {kind: there.copy() for kind, there in cluster.kept.items()}
    racing = Racer(client, kind)
    assert remote_versions.find_or_upload(Connection("http://c", client=racing.client), recipes["one"]) == made
    assert cluster.kept == kept and racing.looks == 2


def test_who_makes_an_experiment_at_the_same_moment_runs_in_the_others(client, cluster, machine, rounds_ir):
    parameters = {"counter": str(machine.counter)}
    Endpoint("http://cluster", client=client).submit(rounds_ir, parameters, "first", experiment="tries")
    racing = Racer(client, "experiments")
    there = Endpoint("http://c", client=racing.client)
    assert there.run(there.submit(rounds_ir, parameters, "second", experiment="tries")).state == "SUCCEEDED"
    assert len(cluster.kept["experiments"]) == 1 and racing.looks == 2


def test_what_is_there_and_is_not_shown_is_told_as_the_endpoint_tells_it(client, recipes):
    remote_versions.find_or_upload(Connection("http://cluster", client=client), recipes["one"])
    blind = Racer(client, "versions", is_blind=True)
    with pytest.raises(PipelineError, match="refused pipelines/upload_version: already exists"):
        remote_versions.find_or_upload(Connection("http://c", client=blind.client), recipes["one"])


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

"""The console beside a KFP endpoint that tells no more than a stock KFP: look, retry, repeat a task, send a run."""

import pytest
from starlette.testclient import TestClient

from pipeline.engine.store import Store
from pipeline.remote import Endpoint
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services
from pipeline.serving import domain, make_engine
from tests.remote.stock_kfp import StockKfp


@pytest.fixture(params=["one user", "several users"])
def cluster(request, tmp_path):
    return StockKfp(tmp_path / "cluster", multi_user=request.param == "several users")


@pytest.fixture
def beside(state_dir, cluster):
    Store.open(state_dir).close()
    endpoint = Endpoint("http://cluster", client=TestClient(cluster.app, base_url="http://cluster"), namespace="team")
    app = create_app(Services(state_dir, make_engine, domain(endpoint)), Access())
    with TestClient(app, base_url="http://127.0.0.1:8080", follow_redirects=False) as client:
        yield client


@pytest.fixture
def run_here(engine, two_steps_ir):
    run_id = engine.create_run(two_steps_ir, {"word": "hi"}, name="from here")
    engine.execute(run_id)
    return run_id


@pytest.fixture
def run_there(beside, run_here):
    answer = beside.post("/cluster/send", data={"run": run_here})
    assert answer.status_code == 303
    return answer.headers["location"].rpartition("/")[2]


def test_a_run_of_this_machine_is_sent_there_as_it_is(beside, cluster, run_there):
    sent = Store.open(cluster.state_dir).run(run_there)
    assert (sent.name, sent.parameters["word"], sent.state) == ("from here", "hi", "SUCCEEDED")
    assert "from here" in beside.get("/cluster").text
    assert len(cluster.kept["versions"]) == 1
    assert beside.get(f"/cluster/runs/{run_there}?format=json").json()["run"]["word"] == "succeeded"


def test_before_sending_it_says_what_is_different_there(beside, run_here):
    notes = beside.get("/cluster/send", params={"run": run_here, "format": "json"}).json()["notes"]
    assert {"kind": "would fail or surprise there", "what": "img:1"}.items() <= notes[1].items()


def test_one_task_is_repeated_there_after_a_look_at_the_plan(beside, cluster, run_there):
    address = f"/cluster/runs/{run_there}/rerun"
    assert "shout" in beside.get(address).text
    plan = beside.get(address, params={"task": "shout", "changes": "share=0.75", "format": "json"}).json()["rows"]
    assert {"label": "shout", "action": "run"}.items() <= plan[-1].items()
    made = beside.post(address, data={"task": "shout", "changes": "share=0.75"}).headers["location"]
    again = Store.open(cluster.state_dir).run(made.rpartition("/")[2])
    assert Store.open(cluster.state_dir).task(again.run_id, "shout").inputs.parameters["share"] == 0.75


@pytest.mark.parametrize("changes", ["share", "=3", "sharre=1", 'share="x"'])
def test_a_change_that_does_not_fit_is_said_beside_the_form(beside, run_there, changes):
    answer = beside.get(f"/cluster/runs/{run_there}/rerun", params={"task": "shout", "changes": changes})
    assert answer.status_code == 400 and 'role="alert"' in answer.text and "Show the plan" in answer.text


def test_a_failed_run_is_retried_there(beside, cluster, engine, two_steps_ir):
    failed = engine.create_run(two_steps_ir, {"fail": True})
    engine.execute(failed)
    there = beside.post("/cluster/send", data={"run": failed}).headers["location"]
    assert "Retry what failed" in beside.get(there).text
    assert beside.post(there + "/retry").headers["location"] == there
    assert Store.open(cluster.state_dir).task(there.rpartition("/")[2], "shout").attempts == 2


def test_without_an_endpoint_the_page_says_how_to_get_one(client):
    answer = client.get("/cluster")
    assert answer.status_code == 404 and "--kfp URL" in answer.text
    assert "/cluster" not in client.get("/").text

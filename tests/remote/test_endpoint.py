"""Submitting, retrying and repeating one task on an endpoint that tells no more than a stock KFP does."""

import httpx
import pytest
from starlette.testclient import TestClient

from pipeline.errors import NotFound, PipelineError
from pipeline.remote import Endpoint
from pipeline.remote_logs import made_in
from tests.remote.stock_kfp import StockKfp


@pytest.fixture
def cluster(machine, tmp_path):
    return StockKfp(tmp_path / "state")


@pytest.fixture
def endpoint(cluster):
    return Endpoint("http://cluster", client=TestClient(cluster.app, base_url="http://cluster"))


@pytest.fixture
def submitted(endpoint, machine, rounds_ir):
    run_id = endpoint.submit(rounds_ir, {"counter": str(machine.counter)}, "first run")
    machine.ran()
    return run_id


def test_a_submitted_run_is_found_again_by_its_name(endpoint, submitted):
    assert endpoint.find_run("first run") == submitted
    assert endpoint.find_run("another") is None
    assert [(now.run.name, now.run.state) for now in endpoint.wait(submitted, poll_s=0)] == [("first run", "SUCCEEDED")]


def test_one_task_is_repeated_with_a_change_and_the_rest_is_reused(endpoint, machine, submitted):
    derived = endpoint.plan_rerun(submitted, "sleeve/a/train", {"epochs": "7"})
    again = endpoint.rerun(submitted, "sleeve/a/train", derived)
    assert machine.ran() == [
        "merge(['train(7,a,cut(sleeve,ingest()))', 'train(3,b,cut(sleeve,ingest()))'])",
        "report([\"merge(['train(7,a,cut(sleeve,ingest()))', 'train(3,b,cut(sleeve,ingest()))'])\", "
        "\"merge(['train(3,a,cut(skirt,ingest()))', 'train(3,b,cut(skirt,ingest()))'])\"])",
        "train(7,a,cut(sleeve,ingest()))",
    ]
    assert endpoint.run(again).state == "SUCCEEDED"
    assert endpoint.run(again).name == "first run again: sleeve/a/train"


def test_a_task_whose_log_is_gone_runs_again(endpoint, cluster, submitted):
    cluster.lost_logs = {"pod-ingest"}
    rows = {row.label: row for row in endpoint.plan_rerun(submitted, "skirt/a/train", {}).rows}
    assert rows["ingest"].action == "run"
    assert rows["ingest"].reason == "its outputs are not known; the endpoint's cache may have them"


def test_an_unknown_input_is_refused_before_anything_runs(endpoint, submitted):
    with pytest.raises(PipelineError, match="did you mean 'epochs'"):
        endpoint.plan_rerun(submitted, "skirt/a/train", {"epoch": "7"})


def test_a_run_that_succeeded_cannot_be_retried_and_the_endpoints_words_are_shown(endpoint, submitted):
    with pytest.raises(PipelineError, match="refused runs/.*: run is not FAILED"):
        endpoint.retry(submitted)


def test_a_run_that_failed_is_retried_and_what_had_succeeded_is_kept(endpoint, machine, mended_ir, tmp_path):
    file = tmp_path / "wanted"
    run_id = endpoint.submit(mended_ir, {"counter": str(machine.counter), "path": str(file)}, "mended")
    assert [now.run.state for now in endpoint.wait(run_id, poll_s=0)] == ["FAILED"]
    assert machine.ran() == ["ingest()"]
    file.touch()
    endpoint.retry(run_id)
    assert [now.run.state for now in endpoint.wait(run_id, poll_s=0)] == ["SUCCEEDED"]
    assert [line.partition("(")[0] for line in machine.ran()] == ["check", "report"]


def test_an_unknown_run_is_not_found(endpoint):
    with pytest.raises(NotFound, match="Run nothing not found"):
        endpoint.run("nothing")


def test_a_submission_that_was_answered_with_an_error_is_not_sent_twice(endpoint, cluster, machine, rounds_ir):
    cluster.answers = [503]
    with pytest.raises(PipelineError, match="not now"):
        endpoint.submit(rounds_ir, {"counter": str(machine.counter)}, "once")
    assert machine.ran() == [] and cluster.answers == []


def test_a_look_is_repeated_when_the_connection_breaks_and_a_submission_is_not(monkeypatch):
    monkeypatch.setattr("pipeline.remote_connection.time.sleep", lambda seconds: None)
    seen = []

    def broken(request):
        seen.append(request.method)
        raise httpx.ReadError("connection reset")

    endpoint = Endpoint(
        "http://cluster", client=httpx.Client(transport=httpx.MockTransport(broken), base_url="http://c")
    )
    with pytest.raises(PipelineError, match="does not answer"):
        endpoint.run("r")
    with pytest.raises(PipelineError, match="does not answer"):
        endpoint.terminate("r")
    assert seen == ["GET"] * 4 + ["POST"]


def test_a_step_that_prints_something_like_our_lines_confuses_nobody():
    assert (
        made_in('::made {"component": 3\n::made []\n::made {"component": "a", "inputs": "d"}\nx ::made nothing') == {}
    )


@pytest.mark.parametrize(
    "host",
    ["cluster:8080", "ftp://cluster", "http://", "http://:8080", "http://h:99999", "http://[::1", "http://a b", "x" * 9]
    + ["http://" + "a" * 64 + ".example"],
)
def test_what_is_no_address_is_one_clear_line(host):
    with pytest.raises(PipelineError, match="is no address; expected http://HOST:PORT or https://HOST"):
        Endpoint(host)


def test_a_page_of_the_console_is_no_endpoint():
    with pytest.raises(PipelineError, match="what begins with . or # is no part of an endpoint's address"):
        Endpoint("http://127.0.0.1:8080/#/runs/details/1")


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(PipelineError, match="give --auth instead") as refused:
        Endpoint("https://ann:secret@cluster")
    assert "secret" not in str(refused.value)


def test_nobody_at_the_address_is_said_with_the_proxy_on_the_way(monkeypatch):
    monkeypatch.setattr("pipeline.remote_connection.time.sleep", lambda seconds: None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PipelineError, match=r"does not answer \(.*\); check --host, and that it runs"):
        Endpoint("http://127.0.0.1:9").run("r")
    monkeypatch.setenv("http_proxy", "http://ann:secret@127.0.0.1:9")
    with pytest.raises(
        PipelineError, match="check --host and the proxy 127.0.0.1, or name the host in NO_PROXY"
    ) as told:
        Endpoint("http://cluster.example").run("r")
    assert "secret" not in str(told.value)

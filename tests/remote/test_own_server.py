"""Our own server as the endpoint: what works against a stock KFP works against it, through the same calls."""

import json

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from pipeline import remote_command, strict_kfp
from pipeline.cli import main
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.tools import Hooks
from pipeline.errors import PipelineError
from pipeline.remote import Endpoint
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services
from pipeline.serving import domain

HOST = "http://127.0.0.1:8080"


@pytest.fixture
def endpoint(machine):
    yield from served(machine, Hooks())


@pytest.fixture
def strict(machine):
    yield from served(machine, Hooks(admit=strict_kfp.refuse))


def served(machine, hooks):
    services = Services(machine.store.directory, lambda store: Engine(store, ProcessLauncher(), hooks=hooks), domain())
    with TestClient(create_app(services, Access()), base_url=HOST) as client:
        yield Endpoint(HOST, client=client)


def test_a_run_is_submitted_executed_and_one_of_its_tasks_repeated_with_a_change(endpoint, machine, rounds_ir):
    first = endpoint.submit(rounds_ir, {"counter": str(machine.counter)}, "first", experiment="tries")
    assert machine.engine.execute(first) == "SUCCEEDED"
    assert endpoint.run(endpoint.find_run("first")).state == "SUCCEEDED"
    assert "skirt/b/train" in endpoint.labels(first)
    machine.ran()

    derived = endpoint.plan_rerun(first, "skirt/b/train", {"epochs": "5"})
    assert [row.label for row in derived.rows if row.action == "run"] == ["skirt/b/train", "skirt/merge", "report"]
    again = endpoint.submit(derived.text, {}, "again")
    assert machine.engine.execute(again) == "SUCCEEDED"
    assert [line.split("(")[0] for line in machine.ran()] == ["merge", "report", "train"]
    assert "train(5,b,cut(skirt" in machine.output(again, "report")


def test_show_with_a_host_tells_the_state_of_every_task(endpoint, machine, rounds_ir, monkeypatch):
    run_id = endpoint.submit(rounds_ir, {"counter": str(machine.counter)}, "shown")
    machine.engine.execute(run_id)
    monkeypatch.setattr(remote_command, "connect", lambda host: endpoint)
    shown = CliRunner().invoke(main, ["show", run_id, "--host", HOST])
    assert shown.exit_code == 0, shown.output
    assert "SUCCEEDED   report\n" in shown.output
    assert f"run {run_id} SUCCEEDED" in shown.output and f"{HOST}/#/runs/details/{run_id}" in shown.output
    body = json.loads(CliRunner().invoke(main, ["show", run_id, "--host", HOST, "--json"]).output)
    assert {"name": "report", "state": "SUCCEEDED"} in body["tasks"]


def test_a_strict_server_refuses_what_kfp_could_not_run_and_says_why(strict, rounds_ir):
    with pytest.raises(PipelineError, match=r"check 17, exec-cut: image 'img' is not pinned; give a version tag"):
        strict.submit(rounds_ir.replace("img:1", "img"), {"counter": "x"}, "strict")
    assert strict.runs() == []

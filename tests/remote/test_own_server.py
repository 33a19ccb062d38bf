"""Our own server as the endpoint: what works against a stock KFP works against it, through the same calls."""

import pytest
from starlette.testclient import TestClient

from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.remote import Endpoint
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services
from pipeline.serving import domain

HOST = "http://127.0.0.1:8080"


@pytest.fixture
def endpoint(machine):
    services = Services(machine.store.directory, lambda store: Engine(store, ProcessLauncher()), domain())
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

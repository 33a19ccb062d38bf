"""Every request of our client is one that KFP's own generated client could have sent: path, query, fields."""

import inspect
import json
import re
from dataclasses import dataclass
from typing import Any

import kfp_server_api
import pytest
from starlette.testclient import TestClient

from pipeline.remote import Endpoint
from pipeline.remote_auth import Login
from tests.remote.stock_kfp import StockKfp

SERVICES = ("ExperimentServiceApi", "PipelineServiceApi", "PipelineUploadServiceApi", "RunServiceApi")
# What KFP's backend refuses a request without; its swagger marks nothing as required in a body.
REQUIRED = {
    "POST /apis/v2beta1/runs": {"display_name", "runtime_config"},
    "POST /apis/v2beta1/experiments": {"display_name"},
    "POST /apis/v2beta1/pipelines": {"name"},
    "POST /apis/v2beta1/pipelines/upload_version": {"name", "pipelineid"},
}
LOGS = re.compile(r"/apis/v1alpha1/runs/[^/]+/nodes/[^/]+/log")  # KFP's own page reads them; no client is generated


@dataclass(frozen=True)
class Operation:
    """What the generated client can send: a method and a path, its queries, the model of its body."""

    method: str
    path: str
    queries: frozenset[str]
    model: str


def operations() -> list[Operation]:
    found = []
    for service in SERVICES:
        for name, function in inspect.getmembers(getattr(kfp_server_api, service), inspect.isfunction):
            if not name.endswith("_with_http_info"):
                continue
            source = inspect.getsource(function)
            path, method = re.search(r"call_api\(\s*'([^']+)', '(\w+)'", source).groups()  # type: ignore[union-attr]
            queries = frozenset(re.findall(r"query_params\.append\(\('([^']+)'", source))
            body = re.search(r"body_params = local_var_params\['(\w+)'\]", source)
            model = re.search(rf":type {body[1]}: (\w+)", source)[1] if body else ""  # type: ignore[index]
            found.append(Operation(method, path, queries, model))
    return found


OPERATIONS = operations()


def matching(method: str, path: str) -> Operation | None:
    """The operation of a request; a literal part of a path goes before a parameter."""
    fits = [o for o in OPERATIONS if o.method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/:]+", o.path), path)]
    return min(fits, key=lambda o: o.path.count("{"), default=None)


def problems(request: Any) -> list[str]:
    """What KFP's generated client does not know, or misses, in a request."""
    path, query = request.url.path, set(request.url.params.keys())
    if LOGS.fullmatch(path) and request.method == "GET":
        return []
    operation = matching(request.method, path)
    if not operation:
        return [f"no operation {request.method} {path}"]
    body = json.loads(request.content) if "json" in request.headers.get("content-type", "") else {}
    missing = REQUIRED.get(f"{request.method} {path}", set()) - query - body.keys()
    found = [f"unknown query {name}" for name in sorted(query - operation.queries)]
    found += [f"misses {name}" for name in sorted(missing)]
    return found + (_unknown(operation.model, body) if body else [])


def _unknown(model: str, body: dict[str, Any]) -> list[str]:
    """Fields of a body that are lost on the way through the generated models."""
    if not model:
        return [f"unexpected body {sorted(body)}"]
    client = kfp_server_api.ApiClient()
    through = client.sanitize_for_serialization(client._ApiClient__deserialize(body, model))
    return [f"{model} does not know {name}" for name in _lost(body, through)]


def _lost(sent: Any, through: Any, where: str = "") -> list[str]:
    if not isinstance(sent, dict):
        return [] if sent == through else [f"{where}={sent!r}"]
    if not isinstance(through, dict):
        return [where]
    return [lost for key, value in sent.items() for lost in _lost(value, through.get(key), f"{where}.{key}".strip("."))]


@pytest.fixture
def recorded(tmp_path, machine, rounds_ir):
    """All that our client can send, as it was sent: with a namespace, a login and an experiment."""
    requests: list[Any] = []
    client = TestClient(StockKfp(tmp_path / "state").app, base_url="http://cluster")
    client.event_hooks["request"].append(requests.append)
    login = Login(lambda fresh: "token", "fix it", namespace="team")
    endpoint = Endpoint("http://cluster", login, client)
    parameters = {"counter": str(machine.counter)}
    run_id = endpoint.submit(rounds_ir, parameters, "whole", experiment="tries")
    endpoint.submit_version(rounds_ir, parameters, "as a version", experiment="tries")
    endpoint.find_run("whole")
    endpoint.runs()
    endpoint.terminate(run_id)
    endpoint.rerun(run_id, "skirt/b/train", endpoint.plan_rerun(run_id, "skirt/b/train", {}))
    with pytest.raises(Exception, match="not FAILED"):
        endpoint.retry(run_id)
    return requests


def test_every_request_is_known_to_the_generated_client_and_lacks_nothing(recorded):
    assert {f"{r.method} {r.url}": problems(r) for r in recorded if problems(r)} == {}
    sent = {f"{r.method} {re.sub('/[0-9a-f-]{36}', '/ID', r.url.path)}" for r in recorded}
    assert {
        "GET /apis/v2beta1/experiments",
        "GET /apis/v2beta1/pipelines",
        "GET /apis/v2beta1/pipelines/pipelines-1/versions",
        "GET /apis/v2beta1/runs",
        "GET /apis/v2beta1/runs/ID",
        "POST /apis/v2beta1/experiments",
        "POST /apis/v2beta1/pipelines",
        "POST /apis/v2beta1/pipelines/upload_version",
        "POST /apis/v2beta1/runs",
        "POST /apis/v2beta1/runs/ID:retry",
        "POST /apis/v2beta1/runs/ID:terminate",
    } <= sent


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("POST", "/apis/v2beta1/runs", {"display_name": "x", "runtime_config": {}, "cache": False}, "cache"),
        ("POST", "/apis/v2beta1/runs", {"display_name": "x", "runtime_config": {"arguments": {}}}, "arguments"),
        ("POST", "/apis/v2beta1/runs", {"runtime_config": {}}, "misses display_name"),
        ("GET", "/apis/v2beta1/runs?name=x", None, "unknown query name"),
        ("GET", "/apis/v2beta1/tasks", None, "no operation"),
    ],
)
def test_a_field_that_kfp_does_not_know_is_found(method, path, body, problem):
    request = TestClient(StockKfp("").app, base_url="http://c").build_request(method, path, json=body)
    assert any(problem in found for found in problems(request))


def test_the_upload_carries_its_file_in_the_field_that_kfp_reads(recorded):
    upload = next(r for r in recorded if r.url.path.endswith("upload_version"))
    assert upload.headers["content-type"].startswith("multipart/form-data")
    assert b'name="uploadfile"; filename="pipeline.yaml"' in upload.content

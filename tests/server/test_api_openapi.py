"""The OpenAPI document says what is served, and every answer of the API is as it says."""

import json
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.server.api import openapi

BODIES = ("/apis/v2beta1/runs", "/apis/v2beta1/recurringruns", "/apis/v2beta1/experiments", "/apis/v2beta1/pipelines")
NASTY = st.sampled_from(
    [None, True, -1, 2**63, 10**400, 1e308, "", "\0", "\ud800", "é" * 300, "../..", [], {}, [[]], {"": 0}]
)
VALUES = st.recursive(NASTY | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5)
NAMES = """display_name description name tags experiment_id pipeline_spec pipeline_version_reference runtime_config
    trigger mode max_concurrency no_catchup pipeline pipeline_version displayName pipelineSpec"""
FIELDS = st.sampled_from(NAMES.split())
OBJECTS = st.dictionaries(
    FIELDS, VALUES | st.dictionaries(st.text(max_size=4) | FIELDS, VALUES, max_size=3), max_size=5
)


def test_every_route_is_described(client):
    document = client.get("/apis/v2beta1/openapi.json").json()
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    served = {(m, r.path.replace(":path}", "}")) for r in openapi.served() for m in r.methods - {"HEAD"}}
    assert described == served
    assert {r.name for r in openapi.served()} == set(openapi.ABOUT)
    identifiers = [o["operationId"] for operations in document["paths"].values() for o in operations.values()]
    assert len(set(identifiers)) == len(identifiers)


def test_every_reference_leads_somewhere(client):
    text = client.get("/apis/v2beta1/openapi.json").text
    known = json.loads(text)["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) <= set(known)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(BODIES), OBJECTS | VALUES)
def test_no_json_breaks_the_server(client, path, body):
    text = json.dumps(body)
    answer = client.post(path, content=text.encode("utf-8", "surrogatepass"))
    assert answer.status_code in (200, 400, 404, 409), answer.text
    if answer.status_code != 200:
        refusal = answer.json()
        assert refusal["code"] in (3, 5, 9) and refusal["message"] and refusal["details"] == []
        assert "\n" not in refusal["message"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(BODIES), st.binary(max_size=60) | st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000])
)
def test_no_bytes_break_the_server(client, path, body):
    assert client.post(path, content=body).status_code in (200, 400)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES, st.sampled_from(["root", "deploymentSpec", "components", "pipelineInfo", "schemaVersion"]))
def test_no_pipeline_spec_breaks_the_server(client, two_steps_ir, value, part):
    import yaml

    spec = yaml.safe_load(two_steps_ir)
    spec[part] = value
    text = json.dumps({"pipeline_spec": spec})
    answer = client.post("/apis/v2beta1/runs", content=text.encode("utf-8", "surrogatepass"))
    assert answer.status_code in (200, 400), answer.text

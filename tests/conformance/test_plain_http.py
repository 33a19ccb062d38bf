"""What others than KFP's clients call: a log, an artifact, and a stream of our own."""

import base64
import time

import httpx
import pytest
import yaml

WAIT_S = 60


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url) as made:
        yield made


@pytest.fixture(scope="module")
def finished(http, packages):
    """A run of the greeting pipeline that has succeeded."""
    with open(packages("greeting.yaml"), encoding="utf-8") as text:
        spec = yaml.safe_load(text)
    config = {"parameters": {"text": "grüß dich", "times": 3}}
    run_id = http.post("/apis/v2beta1/runs", json={"pipeline_spec": spec, "runtime_config": config}).json()["run_id"]
    until = time.monotonic() + WAIT_S
    while http.get(f"/apis/v2beta1/runs/{run_id}").json()["state"] != "SUCCEEDED" and time.monotonic() < until:
        time.sleep(0.1)
    return run_id


def test_the_log_of_a_step_is_text(http, finished):
    answer = http.get(f"/apis/v1alpha1/runs/{finished}/nodes/greet/log")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "grüß dich 0.5 false\n" * 3


def test_the_bytes_of_an_artifact_come_as_base64(http, finished):
    answer = http.get(f"/apis/v2beta1/runs/{finished}/nodes/greet/artifacts/note:read")
    assert base64.b64decode(answer.json()["data"]) == b"hello"


def test_a_log_stream_sends_the_text_and_ends(http, finished):
    with http.stream("GET", f"/seamline/v1/runs/{finished}/log/stream?key=greet") as answer:
        lines = list(answer.iter_lines())
    assert [line for line in lines if line.startswith("event: ")] == ["event: log", "event: end"]
    size = len("grüß dich 0.5 false\n".encode() * 3)
    assert f"id: {size}" in lines


def test_a_log_stream_waits_for_what_is_still_to_come(http, packages):
    with open(packages("resting.yaml"), encoding="utf-8") as text:
        run_id = http.post("/apis/v2beta1/runs", json={"pipeline_spec": yaml.safe_load(text)}).json()["run_id"]
    until = time.monotonic() + WAIT_S
    while not http.get(f"/seamline/v1/runs/{run_id}/tasks").json()["tasks"] and time.monotonic() < until:
        time.sleep(0.1)
    events = []
    with http.stream("GET", f"/seamline/v1/runs/{run_id}/log/stream?key=rest", timeout=WAIT_S) as answer:
        for line in answer.iter_lines():
            events += [line] if line.startswith("data: ") else []
            if events == ['data: {"text": "resting\\n", "offset": 8}']:
                http.post(f"/apis/v2beta1/runs/{run_id}:terminate")
    assert events[1:] == ['data: {"state": "CANCELED"}']


def test_the_page_says_which_routes_this_client_has_driven(server, check_against_page):
    check_against_page("plain HTTP", server.driven())

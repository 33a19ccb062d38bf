"""What an attempt ran as is told from its handle."""

import json

import pytest

from pipeline.engine.docker_handle import Handle
from pipeline.engine.whereabouts import whereabouts


@pytest.mark.parametrize(
    ("handle", "told"),
    [
        (json.dumps({"process": "4711:99:boot", "directory": "/s"}), "process 4711"),
        (Handle("3f2c91d0aa17" + "0" * 52, "/s").text, "container 3f2c91d0aa17"),
        (json.dumps({"pod": "train-85ab85a2c997-1", "directory": "/s"}), "Pod train-85ab85a2c997-1"),
        (Handle("", "/s").text, ""),
        ("", ""),
        ("fake:1", ""),
    ],
)
def test_a_handle_names_a_process_a_container_or_a_pod(handle: str, told: str) -> None:
    assert whereabouts(handle) == told

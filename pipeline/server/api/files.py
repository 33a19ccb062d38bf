"""Bytes of runs by KFP's addresses: a step's log, and an artifact."""

import base64
from collections.abc import Iterator
from typing import BinaryIO

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from pipeline.errors import NotFound
from pipeline.server import artifact_files, logs
from pipeline.server.api.calls import PREFIX, Call, route
from pipeline.server.api.runs import run_of

_PIECE_BYTES = 3 << 16  # a multiple of 3, so that the pieces' base64 joins


def node_log(call: Call) -> Response:
    """The log of a task (by key or label), as far as it is written."""
    run = run_of(call)
    path = call.services.reader.log_path(run.run_id, call.path("node_id"))
    if not path.is_file():
        raise NotFound(f"the log of {call.path('node_id')} is gone")
    return StreamingResponse(logs.whole(path), media_type="text/plain; charset=utf-8")


def read_artifact(call: Call) -> Response:
    """The bytes of an output artifact, as KFP sends them: base64 in JSON."""
    run = run_of(call)
    task = call.services.reader.task(run.run_id, call.path("node_id"))
    place = artifact_files.place_of(call.services.state_dir, run, task, call.path("artifact_name"))
    stream, _ = artifact_files.open_file(place)
    return StreamingResponse(_as_json(stream), media_type="application/json")


def _as_json(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        yield b'{"data":"'
        while piece := stream.read(_PIECE_BYTES):
            yield base64.b64encode(piece)
        yield b'"}'


_ARTIFACT = "/runs/{run_id}/nodes/{node_id:path}/artifacts/{artifact_name}:read"
routes: list[Route] = [
    route("GET", "/runs/{run_id}/nodes/{node_id:path}/log", node_log, "/apis/v1alpha1"),
    route("GET", "/runs/{run_id}/nodes/{node_id:path}/log", node_log, PREFIX),
    route("GET", _ARTIFACT, read_artifact),
]

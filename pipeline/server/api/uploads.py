"""KFP's PipelineUploadService: a compiled pipeline as a file (yaml, json, zip or tar.gz)."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.engine.catalogue import Catalogue, Labels
from pipeline.errors import PipelineError
from pipeline.server.api import fields, messages, packages
from pipeline.server.api.calls import PREFIX, Call
from pipeline.server.limits import UPLOAD_BYTES

FIELD = "uploadfile"
_MOST_FIELDS = 10
_MOST_FIELD_BYTES = 1 << 16


def upload_pipeline(call: Call, name: str, data: bytes) -> dict[str, Any]:
    """A new pipeline with its first version; without `name` it is called as the file."""
    text = packages.text_of(data, name)
    return messages.pipeline(Catalogue(call.services.store).create(_labels(call, name), call.now, text))


def upload_version(call: Call, name: str, data: bytes) -> dict[str, Any]:
    """A new version of a pipeline that is there (`pipelineid`)."""
    pipeline_id = call.query("pipelineid")
    if not pipeline_id:
        raise PipelineError("pipelineid is missing; say of which pipeline this is a version")
    text = packages.text_of(data, name)
    made = Catalogue(call.services.store).add_version(pipeline_id, _labels(call, name), text, call.now)
    return messages.version(made, text)


def _labels(call: Call, file_name: str) -> Labels:
    name = fields.checked_name(call.query("name"), "name")
    shown = fields.checked_name(call.query("display_name"), "display_name")
    own = fields.checked_name(PurePosixPath(file_name).name.split(".")[0], "the file's name")
    fields.check(call.query("description"), "description")
    description = fields.Fields({"description": call.query("description")}).text("description")
    tags = fields.Fields({"tags": fields.read(call.query("tags") or "{}", "tags")}).tags("tags")
    return Labels(name or shown or own or "pipeline", shown, description, tags)


def _uploading(path: str, handler: Callable[[Call, str, bytes], dict[str, Any]]) -> Route:
    async def endpoint(request: Request) -> Response:
        name, data = await _file(request)
        call = Call(request, fields.Fields({}))
        return JSONResponse(await run_in_threadpool(handler, call, name, data))

    endpoint.__doc__ = handler.__doc__
    return Route(PREFIX + path, endpoint, methods=["POST"], name=handler.__name__)


async def _file(request: Request) -> tuple[str, bytes]:
    async with request.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=_MOST_FIELD_BYTES) as form:
        found = form.get(FIELD)
        if not isinstance(found, UploadFile):
            raise PipelineError(f"the request has no file; send it as multipart/form-data in the field {FIELD!r}")
        name = fields.checked_name(PurePosixPath(found.filename or "pipeline").name, "the file's name")
        return name or "pipeline", await found.read(UPLOAD_BYTES)


routes = [
    _uploading("/pipelines/upload", upload_pipeline),
    _uploading("/pipelines/upload_version", upload_version),
]

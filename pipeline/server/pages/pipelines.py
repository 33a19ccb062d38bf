"""`/pipelines`, `/pipelines/{id}`, `/experiments`: what was uploaded, in which versions, and the groups of runs."""

import dataclasses
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline.engine import experiments, irtext
from pipeline.engine.catalogue import COLUMNS, VERSION_COLUMNS, Catalogue, Labels, loaded_pipeline, loaded_version
from pipeline.engine.listing import Place, Query
from pipeline.errors import NotFound, PipelineError
from pipeline.server import form_fields, rendering
from pipeline.server.api import fields, packages
from pipeline.server.limits import UPLOAD_BYTES
from pipeline.server.services import Services

ON_A_PAGE = 50
MOST_VERSIONS = 200
RUNS_LOOKED_AT = 200
RUNS_SHOWN = 10
FILE = "file"


@dataclasses.dataclass(frozen=True)
class Row:
    """One pipeline of the list, with its newest version; None where it has none."""

    pipeline: Any
    newest: Any


def pipelines(request: Request) -> Response:
    """Uploaded pipelines, newest first, and the form that uploads one."""
    return _list(request)


async def upload(request: Request) -> Response:
    """Takes a compiled pipeline as a file: a new pipeline, or a new version of the one that is named."""
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get(FILE)
        data = await file.read(UPLOAD_BYTES) if isinstance(file, UploadFile) else b""
        file_name = file.filename or "" if isinstance(file, UploadFile) else ""
        texts = form_fields.texts([item for item in form.multi_items() if item[0] != FILE])
        given = {key: texts.get(key, "").strip() for key in ("name", "description", "pipeline_id")}
    return await run_in_threadpool(_upload, request, PurePosixPath(file_name).name, data, given)


def one(request: Request) -> Response:
    """A pipeline: its versions, what it takes, its last runs."""
    return _one(request, request.path_params["pipeline_id"])


def version(request: Request) -> Response:
    """A version: what it takes. `?as=yaml` is the compiled pipeline itself."""
    services: Services = request.app.state.services
    known = Catalogue(services.store)
    found = known.version(request.path_params["pipeline_id"], request.path_params["version_id"])
    text = known.text(found)
    if request.query_params.get("as") == "yaml":
        name = f'attachment; filename="{found.version_id}.yaml"'
        return PlainTextResponse(text, headers={"content-disposition": name})
    data = {"pipeline": known.get(found.pipeline_id), "version": found} | _contents(text)
    return rendering.respond(request, "pipeline_version.html", data)


def experiments_page(request: Request) -> Response:
    """The experiments, newest first."""
    return _experiments(request)


async def change_experiment(request: Request) -> Response:
    """Makes an experiment, or puts one away or takes it out again."""
    form = await form_fields.read(request)
    given = {key: (form.get(key) or "").strip() for key in ("name", "description", "archive", "unarchive")}
    return await run_in_threadpool(_change_experiment, request, given)


def _list(request: Request, error: str = "", status: int = 200, name: str = "") -> Response:
    services: Services = request.app.state.services
    known = Catalogue(services.store)
    newest = Query(COLUMNS["created_at"], descending=True, after=_place(request), limit=ON_A_PAGE)
    found = known.list(newest)
    rows = [Row(p, _newest(known, p.pipeline_id)) for p in map(loaded_pipeline, found.rows)]
    following = f"{found.end[0]}~{found.end[1]}" if found.end else ""
    data = {"pipelines": rows, "total": found.total, "after": following, "error": error}
    return rendering.respond(request, "pipelines.html", data, status, name=name)


def _place(request: Request) -> Place | None:
    """Where the page before ended."""
    value, _, number = request.query_params.get("after", "").partition("~")
    try:
        return float(value), int(number)
    except ValueError:
        return None


def _newest(known: Catalogue, pipeline_id: str) -> Any:
    try:
        return known.latest(pipeline_id)
    except NotFound:
        return None


def _upload(request: Request, file_name: str, data: bytes, given: dict[str, str]) -> Response:
    services: Services = request.app.state.services
    known, now = Catalogue(services.store), services.clock.now()
    pipeline_id = given["pipeline_id"]
    try:
        if not data:
            raise PipelineError("no file was chosen; choose a compiled pipeline (YAML, JSON, zip or tar.gz)")
        text = packages.text_of(data, file_name or "the file")
        labels = _labels(given, file_name, text)
        if pipeline_id:
            known.add_version(pipeline_id, labels, text, now)
        else:
            pipeline_id = known.create(labels, now, text).pipeline_id
    except NotFound:
        raise
    except PipelineError as error:
        if pipeline_id:
            return _one(request, pipeline_id, str(error), 400, given["name"])
        return _list(request, str(error), 400, given["name"])
    return RedirectResponse(f"/pipelines/{pipeline_id}", 303)


def _labels(given: dict[str, str], file_name: str, text: str) -> Labels:
    """What it is called: as asked; a pipeline else as itself, a version else as its file."""
    usual = file_name.split(".")[0] if given["pipeline_id"] else irtext.read(text).name
    name = fields.checked_name(given["name"] or usual, "name")
    return Labels(name, description=given["description"][: fields.MOST_TEXT])


def _one(request: Request, pipeline_id: str, error: str = "", status: int = 200, name: str = "") -> Response:
    services: Services = request.app.state.services
    known = Catalogue(services.store)
    pipeline = known.get(pipeline_id)
    newest = Query(VERSION_COLUMNS["created_at"], descending=True, limit=MOST_VERSIONS)
    versions = list(map(loaded_version, known.versions(pipeline_id, newest).rows))
    ids = {one.version_id for one in versions}
    runs = [run for run in services.reader.runs(limit=RUNS_LOOKED_AT) if run.version_id in ids]
    contents = _contents(known.text(versions[0])) if versions else {"parameters": [], "about": ""}
    data = {"pipeline": pipeline, "versions": versions, "runs": runs[:RUNS_SHOWN], "error": error} | contents
    return rendering.respond(request, "pipeline.html", data, status, name=name)


def _contents(text: str) -> dict[str, Any]:
    """What a compiled pipeline says of itself."""
    pipeline = irtext.read(text)
    parameters = [dataclasses.asdict(p) | {"default": _said(p.default)} for p in pipeline.root.parameters.values()]
    return {"parameters": parameters, "about": pipeline.description}


def _said(default: Any) -> Any:
    return None if repr(default) == "ABSENT" else default


def _experiments(request: Request, error: str = "", status: int = 200, name: str = "") -> Response:
    services: Services = request.app.state.services
    known = experiments.Experiments(services.store)
    newest = Query(experiments.COLUMNS["created_at"], descending=True, limit=MOST_VERSIONS)
    found: Sequence[experiments.Experiment] = list(map(experiments.loaded, known.list(newest).rows))
    return rendering.respond(request, "experiments.html", {"experiments": found, "error": error}, status, name=name)


def _change_experiment(request: Request, given: dict[str, str]) -> Response:
    services: Services = request.app.state.services
    known, now = experiments.Experiments(services.store), services.clock.now()
    try:
        if given["archive"]:
            known.archive(given["archive"], now)
        elif given["unarchive"]:
            known.unarchive(given["unarchive"], now)
        elif given["name"]:
            known.create(fields.checked_name(given["name"], "name"), given["description"], now)
        else:
            raise PipelineError("the experiment has no name; give it one")
    except NotFound:
        raise
    except PipelineError as error:
        return _experiments(request, str(error), 400, given["name"])
    return RedirectResponse("/experiments", 303)


routes = [
    Route("/pipelines", pipelines),
    Route("/pipelines", upload, methods=["POST"]),
    Route("/pipelines/{pipeline_id}", one),
    Route("/pipelines/{pipeline_id}/version/{version_id}", version),
    Route("/experiments", experiments_page),
    Route("/experiments", change_experiment, methods=["POST"]),
]

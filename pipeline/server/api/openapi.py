"""Both APIs as an OpenAPI document, made from the routes themselves; `/apis/v2beta1/openapi.json`."""

import importlib
import pkgutil
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from starlette.routing import Route

from pipeline.server import api
from pipeline.server.api.calls import PREFIX, Call, route
from pipeline.server.api.schemas import FLAG, SCHEMAS, TEXT, Schema, ref

_LIST = ("page_token", "page_size", "sort_by", "filter", "namespace")
_UPLOAD = ("name", "display_name", "description", "namespace", "tags")
_KINDS: dict[str, Schema] = {
    "page_size": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "cascade": FLAG,
    "attempt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "offset": {"type": "integer", "minimum": -(2**53), "maximum": 2**53},
    "limit": {"type": "integer", "minimum": 4, "maximum": 1 << 20},
    "after": {"type": "integer", "minimum": 0, "maximum": 2**53},
}
_REQUIRED = ("key", "pipelineid")
_STREAM, _PLAIN, _JSON, _FORM = "text/event-stream", "text/plain", "application/json", "multipart/form-data"


@dataclass(frozen=True)
class About:
    """What the document says of a handler besides its docstring. `media`: of the answer."""

    answer: str = "Empty"
    query: tuple[str, ...] = ()
    body: str = ""
    media: str = _JSON


ABOUT: dict[str, About] = {
    "healthz": About("Health"),
    "upload_pipeline": About("Pipeline", _UPLOAD, "upload"),
    "upload_version": About("Version", ("pipelineid", *_UPLOAD), "upload"),
    "list_pipelines": About("Pipelines", _LIST),
    "create_pipeline": About("Pipeline", body="Pipeline"),
    "create_pipeline_and_version": About("Pipeline", body="PipelineAndVersion"),
    "get_pipeline": About("Pipeline"),
    "get_pipeline_by_name": About("Pipeline", ("namespace",)),
    "update_pipeline": About("Pipeline", body="Pipeline"),
    "delete_pipeline": About(query=("cascade",)),
    "list_versions": About("Versions", _LIST),
    "create_version": About("Version", body="Version"),
    "get_version": About("Version"),
    "update_version": About("Version", body="Version"),
    "delete_version": About(),
    "list_experiments": About("Experiments", _LIST),
    "create_experiment": About("Experiment", body="Experiment"),
    "get_experiment": About("Experiment"),
    "archive_experiment": About(),
    "unarchive_experiment": About(),
    "delete_experiment": About(),
    "list_runs": About("Runs", ("experiment_id", *_LIST)),
    "create_run": About("Run", body="Run"),
    "get_run": About("Run"),
    "terminate_run": About(),
    "retry_run": About(),
    "archive_run": About(),
    "unarchive_run": About(),
    "delete_run": About(),
    "list_recurring_runs": About("RecurringRuns", ("experiment_id", *_LIST)),
    "create_recurring_run": About("RecurringRun", body="RecurringRun"),
    "get_recurring_run": About("RecurringRun"),
    "enable_recurring_run": About(),
    "disable_recurring_run": About(),
    "delete_recurring_run": About(),
    "node_log": About("", media=_PLAIN),
    "read_artifact": About("Artifact"),
    "rounds": About("Rounds"),
    "state": About("State"),
    "tasks": About("Tasks"),
    "log": About("Log", ("key", "attempt", "offset", "limit")),
    "metrics": About("Metrics", ("key",)),
    "events": About("Events", ("after",)),
    "cache": About("Cache", ("key",)),
    "retry_plan": About("Plan"),
    "rerun_plan": About("Plan", ("key",)),
    "rerun_plan_with_changes": About("Plan", body="RerunRequest"),
    "rerun": About("Rerun", body="RerunRequest"),
    "log_stream": About("", ("key", "attempt", "offset"), media=_STREAM),
    "metric_stream": About("", ("key", "after"), media=_STREAM),
    "event_stream": About("", ("after",), media=_STREAM),
}


def served() -> list[Route]:
    """Every route of the two APIs, but this document's own."""
    modules = [m.name for m in pkgutil.iter_modules(api.__path__) if m.name != "openapi"]
    found = [importlib.import_module(f"{api.__name__}.{name}") for name in sorted(modules)]
    return [route for module in found for route in getattr(module, "routes", [])]


@cache
def document() -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for one in served():
        for method in sorted((one.methods or set()) - {"HEAD"}):
            paths.setdefault(_path(one), {})[method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Seamline", "version": "v2beta1", "description": "KFP's API, and extensions of our own."},
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def openapi(call: Call) -> dict[str, Any]:
    """This document."""
    return document()


def _path(one: Route) -> str:
    return one.path.replace(":path}", "}")


def _operation(one: Route) -> dict[str, Any]:
    about = ABOUT[one.name]
    content = {"schema": ref(about.answer) if about.answer else TEXT}
    answers = {
        "200": {"description": "done", "content": {about.media: content}},
        "default": {"description": "refused", "content": {_JSON: {"schema": ref("Error")}}},
    }
    inside = [_parameter(name, "path", TEXT) for name in re.findall(r"{(\w+)}", _path(one))]
    query = [_parameter(name, "query", _KINDS.get(name, TEXT)) for name in about.query]
    summary = (one.endpoint.__doc__ or "").strip().split("\n")[0]
    made: dict[str, Any] = {"operationId": _identifier(one), "summary": summary, "responses": answers}
    return made | {"parameters": inside + query} | ({"requestBody": _body(about.body)} if about.body else {})


def _identifier(one: Route) -> str:
    """Handlers may stand behind two addresses, old and new."""
    return one.name if one.path.startswith((PREFIX, "/seamline")) else f"{one.name}_v1alpha1"


def _parameter(name: str, place: str, kind: Schema) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path" or name in _REQUIRED, "schema": kind}


def _body(name: str) -> dict[str, Any]:
    if name == "upload":
        file = {"type": "object", "properties": {"uploadfile": {"type": "string", "format": "binary"}}}
        return {"required": True, "content": {_FORM: {"schema": file | {"required": ["uploadfile"]}}}}
    return {"required": True, "content": {_JSON: {"schema": ref(name)}}}


routes = [route("GET", "/openapi.json", openapi)]

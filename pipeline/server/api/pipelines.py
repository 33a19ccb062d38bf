"""KFP's PipelineService: uploaded pipelines."""

from typing import Any

from pipeline.engine.catalogue import COLUMNS, Catalogue, Labels, loaded_pipeline
from pipeline.errors import PipelineError
from pipeline.server.api import messages, paging, specs
from pipeline.server.api.calls import Call, route
from pipeline.server.api.fields import Fields


def labels_of(body: Fields, fallback: str = "") -> Labels:
    """Reads what a request calls a pipeline or version; `name` and `display_name` stand in for each other.

    Raises:
        PipelineError: neither, or one that cannot be used.
    """
    name = body.name("name") or body.name("display_name") or fallback
    if not name:
        raise PipelineError("a name is missing; give `name` or `display_name`")
    description, source = body.text("description"), body.text("code_source_url")
    return Labels(name, body.name("display_name"), description, body.tags("tags"), source)


def text_of(version: Fields) -> str:
    """The IR that a request carries for a new version.

    Raises:
        PipelineError: none, or an address: this server fetches nothing from elsewhere.
    """
    if "pipeline_spec" in version:
        return specs.from_json(version.get("pipeline_spec"))
    if version.within("package_url").text("pipeline_url"):
        raise PipelineError(
            "package_url is not fetched: this server opens no foreign address; "
            "put the pipeline into pipeline_spec, or upload the file"
        )
    raise PipelineError("the version has no pipeline_spec; give the compiled pipeline there, or upload the file")


def changes_of(body: Fields) -> dict[str, Any]:
    """The fields of an update that are given."""
    changes: dict[str, Any] = {}
    if name := body.name("display_name"):
        changes["display_name"] = name
    if "description" in body:
        changes["description"] = body.text("description")
    if "tags" in body:
        changes["tags"] = body.tags("tags")
    return changes


def _catalogue(call: Call) -> Catalogue:
    return Catalogue(call.services.store)


def list_pipelines(call: Call) -> dict[str, Any]:
    """A page of pipelines."""
    wanted = paging.wanted(call)
    page = _catalogue(call).list(wanted.query(COLUMNS))
    return wanted.answer("pipelines", [messages.pipeline(loaded_pipeline(row)) for row in page.rows], page)


def create_pipeline(call: Call) -> dict[str, Any]:
    """A pipeline without versions."""
    return messages.pipeline(_catalogue(call).create(labels_of(call.body), call.now))


def create_pipeline_and_version(call: Call) -> dict[str, Any]:
    """A pipeline with its first version."""
    labels, version = labels_of(call.body.within("pipeline")), call.body.within("pipeline_version")
    first = labels_of(version, fallback=labels.name)
    return messages.pipeline(_catalogue(call).create(labels, call.now, text_of(version), first))


def get_pipeline(call: Call) -> dict[str, Any]:
    """One pipeline."""
    return messages.pipeline(_catalogue(call).get(call.path("pipeline_id")))


def get_pipeline_by_name(call: Call) -> dict[str, Any]:
    """One pipeline by its name."""
    return messages.pipeline(_catalogue(call).named(call.path("name")))


def update_pipeline(call: Call) -> dict[str, Any]:
    """Another display name, description or tags."""
    changed = _catalogue(call).update(call.path("pipeline_id"), changes_of(call.body), call.now)
    return messages.pipeline(changed)


def delete_pipeline(call: Call) -> dict[str, Any]:
    """Without `cascade=true` only one that has no versions."""
    cascade = call.query("cascade").lower() in ("true", "1")
    _catalogue(call).delete(call.path("pipeline_id"), call.now, cascade)
    return {}


routes = [
    route("GET", "/pipelines", list_pipelines),
    route("POST", "/pipelines", create_pipeline),
    route("POST", "/pipelines/create", create_pipeline_and_version),
    route("GET", "/pipelines/names/{name}", get_pipeline_by_name),
    route("GET", "/pipelines/{pipeline_id}", get_pipeline),
    route("PATCH", "/pipelines/{pipeline_id}", update_pipeline),
    route("DELETE", "/pipelines/{pipeline_id}", delete_pipeline),
]

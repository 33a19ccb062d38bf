"""KFP's PipelineService: versions of uploaded pipelines."""

from typing import Any

from pipeline.engine.catalogue import VERSION_COLUMNS, Catalogue, Version, loaded_version
from pipeline.server.api import messages, paging
from pipeline.server.api.calls import Call, route
from pipeline.server.api.pipelines import changes_of, labels_of, text_of


def _catalogue(call: Call) -> Catalogue:
    return Catalogue(call.services.store)


def _shown(call: Call, version: Version) -> dict[str, Any]:
    return messages.version(version, _catalogue(call).text(version))


def list_versions(call: Call) -> dict[str, Any]:
    """A page of a pipeline's versions, each with its pipeline_spec, as KFP's backend lists them."""
    wanted = paging.wanted(call)
    page = _catalogue(call).versions(call.path("pipeline_id"), wanted.query(VERSION_COLUMNS))
    return wanted.answer("pipeline_versions", [_shown(call, loaded_version(row)) for row in page.rows], page)


def create_version(call: Call) -> dict[str, Any]:
    """A version whose pipeline comes in the body."""
    labels, text = labels_of(call.body), text_of(call.body)
    return _shown(call, _catalogue(call).add_version(call.path("pipeline_id"), labels, text, call.now))


def get_version(call: Call) -> dict[str, Any]:
    """One version."""
    return _shown(call, _catalogue(call).version(call.path("pipeline_id"), call.path("pipeline_version_id")))


def update_version(call: Call) -> dict[str, Any]:
    """Another display name, description or tags."""
    ids = call.path("pipeline_id"), call.path("pipeline_version_id")
    return _shown(call, _catalogue(call).update_version(*ids, changes_of(call.body), call.now))


def delete_version(call: Call) -> dict[str, Any]:
    """Runs made of it keep their pipeline."""
    _catalogue(call).delete_version(call.path("pipeline_id"), call.path("pipeline_version_id"), call.now)
    return {}


_ONE = "/pipelines/{pipeline_id}/versions/{pipeline_version_id}"
routes = [
    route("GET", "/pipelines/{pipeline_id}/versions", list_versions),
    route("POST", "/pipelines/{pipeline_id}/versions", create_version),
    route("GET", _ONE, get_version),
    route("PATCH", _ONE, update_version),
    route("DELETE", _ONE, delete_version),
]

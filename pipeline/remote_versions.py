"""Pipelines and versions at a KFP endpoint: what is submitted twice is uploaded once.

A version is named by a hash of the compiled pipeline and of the code that its steps run, so that the same recipe and
the same code find their version again, and every run there says what it is a run of.
"""

import hashlib
from dataclasses import dataclass

from pipeline import code_identity
from pipeline.engine import ir, irtext
from pipeline.remote_connection import Connection, found_or_made, id_of, named


@dataclass(frozen=True)
class Version:
    """A version of a pipeline at an endpoint, as a run refers to it."""

    pipeline_id: str
    pipeline_version_id: str


def name_of(text: str) -> str:
    """Name of the version of a compiled pipeline: `<pipeline>-<12 hex digits>`."""
    pipeline = irtext.read(text)
    containers = [e for e in pipeline.executors.values() if isinstance(e, ir.Container)]
    commands = sorted({container.command for container in containers})
    whole = "\n".join([text, *(code_identity.identity(list(command)) for command in commands)])
    return f"{pipeline.name}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def find_or_upload(connection: Connection, text: str, namespace: str = "") -> Version:
    """The version of a compiled pipeline; pipeline and version are made where they are missing."""
    pipeline_id = _pipeline(connection, irtext.read(text).name, namespace)
    name = name_of(text)

    def upload() -> str:
        made = connection.upload("/pipelines/upload_version", text, name=name, pipelineid=pipeline_id)
        return id_of(made, "pipeline_version_id")

    return Version(pipeline_id, found_or_made(lambda: _version(connection, pipeline_id, name), upload))


def _pipeline(connection: Connection, name: str, namespace: str) -> str:
    own = {"namespace": namespace} if namespace else {}

    def find() -> str:
        found = connection.get("/pipelines", filter=named(name), **own).get("pipelines", [])
        return id_of(found[0], "pipeline_id") if found else ""

    def make() -> str:
        return id_of(connection.post("/pipelines", {"name": name, "display_name": name, **own}), "pipeline_id")

    return found_or_made(find, make)


def _version(connection: Connection, pipeline_id: str, name: str) -> str:
    path = f"/pipelines/{pipeline_id}/versions"
    found = connection.get(path, page_size=1, filter=named(name)).get("pipeline_versions", [])
    return id_of(found[0], "pipeline_version_id") if found else ""

"""What an importer does in place of a command: it registers an artifact that lies somewhere already."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.engine import ir
from pipeline.engine.fingerprint import digest_of_path, digest_of_value
from pipeline.engine.placeholders import fill_constant, local_path
from pipeline.engine.values import Artifact, Values, plain


def import_artifact(component: ir.Component, importer: ir.Importer, inputs: Values) -> Values:
    """What an importer registers. Nothing is checked or copied; a remote URI stands for its content.

    Args:
        component: of the importer, with one output artifact.
        importer: its executor.
        inputs: of the task; its URI and whatever its metadata names.
    """
    uri = str(inputs.parameters.get(importer.key or "uri", importer.constant))
    metadata = _import_metadata(importer.metadata, inputs.parameters)
    source = Path(local_path(uri))
    content = digest_of_path(source) if source.is_absolute() and source.exists() else digest_of_value(uri)
    digest = digest_of_value([content, metadata]) if metadata else content
    listed = {n: (Artifact(n, a.kind, uri, metadata, digest),) for n, a in component.output_artifacts.items()}
    return Values({}, listed)


def _import_metadata(metadata: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    filled: dict[str, Any] = plain(fill_constant(metadata, parameters, {}))
    return filled

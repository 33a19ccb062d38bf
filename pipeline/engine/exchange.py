"""What the engine and a task's command exchange: the executor input, and what the command leaves behind.

Outputs are committed in an order that survives a kill at any point: the command writes into its attempt's folder; the
engine reads everything, writes `commit.json` there, flushes the files to disk, renames them to their place under
`artifacts/<digest>/`, and only then journals. Whoever finds a `commit.json` repeats the renames, which changes nothing
that is already done.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.engine import ir
from pipeline.engine.fingerprint import digest_of_path, digest_of_value, files_below
from pipeline.engine.placeholders import Surroundings, local_path
from pipeline.engine.resolve import with_defaults
from pipeline.engine.values import Artifact, ValueProblem, Values, parse_output, plain

# A browser goes by the ending of a file's name.
_ENDINGS = {"system.HTML": ".html", "system.Markdown": ".md"}
MAX_VALUE_BYTES = 32 << 20
_OUTPUT_KEYS = {"artifacts", "parameterValues", "parameter_values"}
_ARTIFACT_KEYS = {"name", "type", "uri", "metadata", "customPath", "custom_path", "properties", "customProperties"}


@dataclass(frozen=True)
class Folder:
    """The folder of one attempt. Everything that the command is told to write lies below it."""

    path: Path

    @property
    def output_file(self) -> Path:
        """KFP's executor output file."""
        return self.path / "executor_output.json"

    def parameter(self, name: str) -> Path:
        """Where the command writes one output parameter."""
        return self.path / "parameters" / name

    def artifact(self, name: str) -> Path:
        """Where the command writes one output artifact."""
        return self.path / "artifacts" / name

    @property
    def commit_file(self) -> Path:
        """The outputs as they will be journalled."""
        return self.path / "commit.json"

    def prepare(self) -> None:
        """Makes the parents of all outputs, and only these, as KFP's launcher does."""
        self.parameter("x").parent.mkdir(parents=True, exist_ok=True)
        self.artifact("x").parent.mkdir(parents=True, exist_ok=True)


def surroundings(component: ir.Component, inputs: Values, folder: Folder) -> Surroundings:
    """Everything that placeholders of a command may name.

    Args:
        component: its interface.
        inputs: what the pipeline passes; defaults of the component are added to the executor input only, as in KFP.
        folder: of the attempt.
    """
    return Surroundings(
        parameters=inputs.parameters,
        artifacts=inputs.artifacts,
        outputs={name: str(folder.artifact(name)) for name in component.output_artifacts},
        output_files={name: str(folder.parameter(name)) for name in component.output_parameters},
        executor_input=json.dumps(executor_input(component, inputs, folder), ensure_ascii=False, allow_nan=False),
    )


def executor_input(component: ir.Component, inputs: Values, folder: Folder) -> dict[str, Any]:
    """KFP's ExecutorInput message as JSON; empty maps are left out."""
    values = {k: v for k, v in with_defaults(component, inputs).parameters.items() if v is not None}
    given = _filled(
        parameterValues=plain(values),
        artifacts={k: {"artifacts": [_shown(a) for a in listed]} for k, listed in inputs.artifacts.items()},
    )
    wanted = _filled(
        parameters={k: {"outputFile": str(folder.parameter(k))} for k in component.output_parameters},
        artifacts={k: {"artifacts": [_wanted(a, folder)]} for k, a in component.output_artifacts.items()},
        outputFile=str(folder.output_file),
    )
    return _filled(inputs=given, outputs=wanted)


def _filled(**fields: Any) -> dict[str, Any]:
    return {k: v for k, v in fields.items() if v}


def _shown(artifact: Artifact) -> dict[str, Any]:
    """An input artifact as KFP's metadata store gives it back: no type, lists and structs wrapped, no booleans."""
    metadata = {"display_name": artifact.name} | {k: _stored(v) for k, v in artifact.metadata.items()}
    return {"name": artifact.digest, "type": {"instanceSchema": ""}, "uri": artifact.uri, "metadata": metadata}


def _stored(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return {"list": value} if isinstance(value, list) else {"struct": value} if isinstance(value, dict) else value


def _wanted(spec: ir.ArtifactSpec, folder: Folder) -> dict[str, Any]:
    schema = {"schemaTitle": spec.kind, "schemaVersion": spec.version or "0.0.1"}
    return {"name": spec.name, "uri": str(folder.artifact(spec.name)), "type": schema}


def collect(component: ir.Component, folder: Folder, artifacts: Path) -> Values:
    """Reads and commits what a command left behind.

    Args:
        component: its interface.
        folder: of the attempt.
        artifacts: the state folder's `artifacts/`.

    Returns:
        The outputs; artifacts lie at their final places.

    Raises:
        ValueProblem: a missing output parameter or a malformed executor output, which fails the task.
    """
    if folder.commit_file.exists():
        body = json.loads(folder.commit_file.read_text(encoding="utf-8"))
    else:
        message = _read_message(folder.output_file)
        parameters = {k: _parameter(p, message, folder) for k, p in component.output_parameters.items()}
        told = {k: _told(message, k) for k in component.output_artifacts}
        moves = {k: _artifact(spec, told[k], folder, artifacts) for k, spec in component.output_artifacts.items()}
        outputs = Values(parameters, {k: (a,) for k, (a, _) in moves.items()})
        _refuse_what_is_no_json(outputs)
        body = {"outputs": outputs.as_json(), "moves": [[str(s), a.uri] for a, s in moves.values() if s]}
        _write_durably(folder.commit_file, json.dumps(body))
    for source, target in body["moves"]:
        _move(Path(source), Path(target))
    return Values.from_json(body["outputs"])


def _refuse_what_is_no_json(outputs: Values) -> None:
    """NaN, infinities and half surrogate pairs: neither a database nor a later task could take them."""
    try:
        json.dumps(outputs.as_json(), ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise ValueProblem(f"an output has no JSON: {error}; write it as text or leave it out") from None


def _read_message(path: Path) -> dict[str, Any]:
    """The executor output; strict like KFP's launcher: an unknown field fails the task."""
    if not path.is_file():
        return {}
    try:
        body = json.loads(_text(path, "the executor output"))
    except ValueError as error:
        raise ValueProblem(f"the executor output is no JSON ({error}); write {{'parameterValues': {{...}}}}") from None
    except RecursionError:
        raise ValueProblem("the executor output is nested too deeply; write {'parameterValues': {...}}") from None
    unknown = set(body) - _OUTPUT_KEYS if isinstance(body, dict) else {"no object"}
    if unknown:
        raise ValueProblem(f"the executor output holds {sorted(unknown)}; it takes artifacts and parameterValues")
    for key, value in body.items():
        if not isinstance(value, dict):
            raise ValueProblem(f"{key} of the executor output is {str(value)[:60]!r}, which is no object")
    return dict(body)


def _text(path: Path, what: str) -> str:
    """A small file as text: whatever a task left there, the engine must not choke on it."""
    size = path.stat().st_size
    if size > MAX_VALUE_BYTES:
        raise ValueProblem(f"{what} has {size} bytes, {MAX_VALUE_BYTES} are taken; write an artifact instead")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueProblem(f"{what} is no UTF-8 text ({error}); write an artifact instead") from None


def _parameter(spec: ir.Parameter, message: Mapping[str, Any], folder: Folder) -> Any:
    """The output file beats the parameter's own file and is not type-checked, as in KFP."""
    values = message.get("parameterValues", message.get("parameter_values", {}))
    if spec.name in values:
        return plain(values[spec.name])
    path = folder.parameter(spec.name)
    if not path.is_file():
        raise ValueProblem(
            f"output parameter {spec.name} is missing: neither its file nor the executor output holds a value"
        )
    return parse_output(_text(path, f"output parameter {spec.name}"), spec.kind, spec.name)


def _told(message: Mapping[str, Any], name: str) -> dict[str, Any]:
    told = message.get("artifacts", {}).get(name) or {}
    listed = (told.get("artifacts") if isinstance(told, dict) else told) or [{}]
    if not (
        isinstance(listed, list) and isinstance(listed[0], dict) and isinstance(listed[0].get("metadata", {}), dict)
    ):
        raise ValueProblem(
            f"artifact {name} is {str(told)[:60]!r} in the executor output; "
            "write {'artifacts': [{'metadata': {}}]}"
        )
    unknown = set(listed[0]) - _ARTIFACT_KEYS
    if unknown:
        raise ValueProblem(
            f"artifact {name} has {sorted(unknown)} in the executor output; it takes uri, metadata, customPath"
        )
    if any(v is None for v in listed[0].get("metadata", {}).values()):
        raise ValueProblem(f"metadata of artifact {name} holds null, which KFP refuses; leave the key out")
    return dict(listed[0])


def _artifact(
    spec: ir.ArtifactSpec, told: Mapping[str, Any], folder: Folder, artifacts: Path
) -> tuple[Artifact, Path | None]:
    """One output artifact at its final place, and what has to be moved there (nothing for what lies elsewhere)."""
    uri = told.get("uri") or str(folder.artifact(spec.name))
    source = Path(told.get("customPath") or told.get("custom_path") or local_path(uri))
    metadata = plain(told.get("metadata", {}))
    artifact = Artifact(spec.name, spec.kind, uri, metadata)
    ours = source.is_absolute() and source.is_relative_to(folder.path)
    if not ours:
        content = digest_of_path(source) if source.is_absolute() and source.exists() else digest_of_value(uri)
        return replace(artifact, digest=digest_of_value([content, metadata])), None
    exists = source.exists()
    if exists:
        _follow_links(source)
    content = digest_of_path(source) if exists else digest_of_value("nothing was written")
    target = artifacts / content / (spec.name + _ENDINGS.get(spec.kind, ""))
    digest = digest_of_value([content, metadata]) if metadata else content
    return replace(artifact, uri=str(target), digest=digest), source if exists else None


def _follow_links(source: Path) -> None:
    """Replaces links by what they point to, as KFP's upload does; drops empty folders, which buckets do not have."""
    for path in files_below(source) if source.is_dir() else [source]:
        if path.is_symlink():
            copy = path.with_name(path.name + ".copy")
            shutil.copyfile(path, copy)
            os.replace(copy, path)
    if source.is_dir():
        for folder in sorted((p for p in source.rglob("*") if p.is_dir()), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()


def _move(source: Path, target: Path) -> None:
    if not source.exists():
        return  # moved before a crash
    if target.exists():
        shutil.rmtree(source) if source.is_dir() else source.unlink()  # the same bytes are there already
        return
    for path in [*files_below(source), source] if source.is_dir() else [source]:
        _flush(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(source, target)
    for folder in (target.parent, target.parent.parent):
        _flush(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_durably(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(fresh, path)
    _flush(path.parent)


def outputs_exist(outputs: Values) -> bool:
    """Whether the local artifacts among outputs are still where they were committed, metadata-only ones excepted."""
    uris = [a.uri for listed in outputs.artifacts.values() for a in listed]
    local = [Path(u) for u in uris if u.startswith("/") and not _is_empty(Path(u))]
    return all(path.exists() for path in local)


def _is_empty(path: Path) -> bool:
    return path.parent.name == digest_of_value("nothing was written")

"""KFP's placeholders in commands and constants: those that the backend of KFP 2.17 resolves; the others stay text.

Order as in KFP: `{{$}}` first, then the rest in the same string, so that a parameter value that itself holds a
placeholder is filled as well.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.engine.values import Artifact, ValueProblem, as_text

_PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\[(['\"])(.+?)\1\]\}\}")
_ARTIFACT = re.compile(r"\{\{\$\.(inputs|outputs)\.artifacts\[(['\"])(.+?)\2\]\.(path|uri)\}\}")
_OUTPUT_FILE = re.compile(r"\{\{\$\.outputs\.parameters\[(['\"])(.+?)\1\]\.output_file\}\}")
_MOUNTS = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/"}


@dataclass(frozen=True)
class Surroundings:
    """What a command may name.

    Attributes:
        parameters: inputs that the pipeline passed; a component's own defaults are not among them (as in KFP).
        artifacts: input artifacts.
        outputs: output artifact to URI.
        output_files: output parameter to the file that takes it.
        executor_input: the JSON behind `{{$}}`.
    """

    parameters: Mapping[str, Any]
    artifacts: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    output_files: Mapping[str, str] = field(default_factory=dict)
    executor_input: str = "{}"


def resolve_command(command: list[str], args: list[str], around: Surroundings) -> list[str]:
    """The argument vector of a task.

    Args:
        command: the image's command; its first word takes only `{{$}}`.
        args: what follows.
        around: the values.

    Raises:
        ValueProblem: a parameter is named that the pipeline does not pass.
    """
    words = [command[0].replace("{{$}}", around.executor_input)] if command else []
    for word in [*command[1:], *args]:
        words += _resolve_word(word, around)
    return words


def _resolve_word(word: str, around: Surroundings) -> list[str]:
    if word.startswith('{"IfPresent"'):
        branch = _branch(word, around)
        return [text for part in branch for text in _resolve_word(part, around)]
    return [_resolve_text(word, around)]


def _branch(word: str, around: Surroundings) -> list[str]:
    body = json.loads(word)["IfPresent"]
    name = body["InputName"]
    chosen = body.get("Then" if name in around.parameters or around.artifacts.get(name) else "Else") or []
    return [chosen] if isinstance(chosen, str) else [c if isinstance(c, str) else json.dumps(c) for c in chosen]


def _resolve_text(text: str, around: Surroundings) -> str:
    decimal = "{{$.outputs." in text
    text = text.replace("{{$}}", around.executor_input)
    text = _PARAMETER.sub(lambda m: as_text(_parameter(m[2], around.parameters), decimal=decimal), text)
    text = _ARTIFACT.sub(lambda m: _artifact(m, around), text)
    return _OUTPUT_FILE.sub(lambda m: around.output_files.get(m[2], m[0]), text)


def _parameter(name: str, parameters: Mapping[str, Any]) -> Any:
    if name not in parameters:
        raise ValueProblem(
            f"parameter {name!r} is named in the command but the pipeline passes no value for it; pass one explicitly"
        )
    return parameters[name]


def _artifact(match: re.Match[str], around: Surroundings) -> str:
    listed = around.artifacts.get(match[3], ())
    uri = around.outputs.get(match[3]) if match[1] == "outputs" else listed[0].uri if listed else None
    if uri is None:
        return match[0]
    return uri if match[4] == "uri" else local_path(uri)


def local_path(uri: str) -> str:
    """Where a step finds a URI on its own disk: KFP's mount points, or the path itself for local URIs."""
    for scheme, mount in _MOUNTS.items():
        if uri.startswith(scheme):
            return mount + uri.removeprefix(scheme)
    return uri.removeprefix("file://")


def fill_constant(value: Any, parameters: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    """Fills a constant of the pipeline: f-strings become `{{$.inputs.parameters['pipelinechannel--x']}}` when compiled.

    Args:
        value: the constant, possibly a list or struct of texts.
        parameters: the other inputs of the same task.
        names: whole-value placeholders such as `{{$.pipeline_job_name}}` to what they stand for.

    Raises:
        ValueProblem: a parameter that the task does not have.
    """
    if isinstance(value, Mapping):
        return {k: fill_constant(v, parameters, names) for k, v in value.items()}
    if isinstance(value, list):
        return [fill_constant(v, parameters, names) for v in value]
    if not isinstance(value, str):
        return value
    return names.get(value) or _PARAMETER.sub(lambda m: as_text(_parameter(m[2], parameters)), value)


def parameters_named(value: Any) -> set[str]:
    """The parameters whose values a constant needs."""
    if isinstance(value, Mapping):
        return {name for v in value.values() for name in parameters_named(v)}
    if isinstance(value, list):
        return {name for v in value for name in parameters_named(v)}
    return {m[2] for m in _PARAMETER.finditer(value)} if isinstance(value, str) else set()

"""Pipelines from outside: IR text or JSON -> text that the engine can run, or one line that says why it cannot.

YAML can name a part and repeat it (anchors and aliases), which lets 300 bytes mean billions of nodes; compilers do not
write that, so it is refused before anything is built. What then loads must be JSON, and must unroll.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.engine import ir, irtext
from pipeline.engine.expand import expand
from pipeline.engine.tree import Facts
from pipeline.engine.values import STRING, UNKNOWN, ValueProblem, parse_given
from pipeline.errors import PipelineError
from pipeline.server.api import fields, ir_shape, unrolled

MOST_BYTES = 8 << 20
MOST_NODES = 500_000
MOST_DOCUMENTS = 2
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_MALFORMED = (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError, ArithmeticError)


def from_bytes(data: bytes, what: str) -> str:
    """A file that somebody uploaded -> IR text.

    Args:
        data: YAML or JSON, the IR and perhaps the platform.
        what: its name, for errors.

    Raises:
        PipelineError: too large, no UTF-8, empty, not YAML, with aliases, or not a pipeline that can run.
    """
    if len(data) > MOST_BYTES:
        raise PipelineError(f"{what} has {len(data)} bytes; a pipeline may have {MOST_BYTES}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PipelineError(f"{what} is no text in UTF-8: {error.reason} at byte {error.start}") from None
    if not text.strip():
        raise PipelineError(f"{what} is empty; give a compiled pipeline")
    if text.lstrip().startswith("{"):  # in YAML 1.1 the JSON number 1e-05 would be a text
        return from_json(fields.read(text, what))
    documents = load(text, what)
    ir_shape.check(documents[0])
    read(text)
    if len(documents) > MOST_DOCUMENTS:
        raise PipelineError(f"{what} holds {len(documents)} documents; expected the pipeline, and perhaps its platform")
    return text


def from_json(spec: Any) -> str:
    """`pipeline_spec` of a request -> IR text. It is the IR, or `{"pipeline_spec": IR, "platform_spec": ...}`.

    Raises:
        PipelineError: not a pipeline that can run.
    """
    body = fields.Fields(spec, "pipeline_spec")
    documents = [spec]
    if "pipeline_spec" in body:
        documents = [dict(body.within("pipeline_spec").values)]
        if platform := body.within("platform_spec").values:
            documents.append(dict(platform))
    ir_shape.check(documents[0])
    text: str = yaml.dump_all(documents, Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
    if len(text) > MOST_BYTES:
        raise PipelineError(f"the pipeline has {len(text)} characters; it may have {MOST_BYTES}")
    read(text)
    return text


def load(text: str, what: str = "the pipeline") -> list[Any]:
    """The documents of a YAML text, which must be JSON.

    Raises:
        PipelineError: not YAML, with anchors or aliases, too many nodes or levels, or values that JSON has not.
    """
    try:
        _refuse_tricks(text, what)
        documents = list(yaml.load_all(text, Loader=LOADER))
    except yaml.YAMLError as error:
        raise PipelineError(f"{what} is neither YAML nor JSON: {' '.join(str(error).split())[:300]}") from None
    except _MALFORMED as error:  # PyYAML on, for instance, `!!int x` or a list as a key
        raise PipelineError(f"{what} holds YAML that cannot be read: {str(error)[:200]}") from None
    if not documents:
        raise PipelineError(f"{what} holds comments only; give a compiled pipeline")
    for document in documents:
        fields.check(document, what)
        _refuse_odd_keys(document, what)
    return documents


def read(text: str) -> ir.Pipeline:
    """The pipeline of a text, unrolled once as far as it goes without running anything.

    Raises:
        PipelineError: the engine could not run it.
    """
    try:
        pipeline = irtext.read(text)
        values = {n: UNKNOWN if p.default is ir.ABSENT else p.default for n, p in pipeline.root.parameters.items()}
        unrolled.refuse_too_many(pipeline, values)
        expand(pipeline, Facts(values))
    except _MALFORMED as error:
        detail = f"{type(error).__name__}: {str(error)[:200]}"
        raise PipelineError(f"the pipeline is malformed ({detail}); compile it with kfp 2") from error
    return pipeline


def typed(text: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as clients send them: `kfp recurring-run create lr=0.3` sends the text "0.3" for a number.

    Macros (`[[Index]]`) stay as they are.

    Raises:
        PipelineError: a text that is not of the parameter's type, or a list so long that a loop over it is refused.
    """
    pipeline = read(text)
    found = {name: _typed(pipeline.root.parameters.get(name), name, value) for name, value in given.items()}
    unrolled.refuse_too_many(pipeline, found)
    return found


def _typed(parameter: ir.Parameter | None, name: str, value: Any) -> Any:
    if parameter is None or parameter.kind == STRING or not isinstance(value, str) or "[[" in value:
        return value
    try:
        return parse_given(value, parameter.kind, name)
    except ValueProblem:
        if value in ("True", "False"):  # Python's spelling, which the command line invites
            return parse_given(value.lower(), parameter.kind, name)
        raise


def _refuse_tricks(text: str, what: str) -> None:
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=LOADER)):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise PipelineError(f"{what} uses YAML anchors or aliases, which are refused; compile it with kfp 2")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > fields.MOST_DEPTH or count > MOST_NODES:
            raise PipelineError(
                f"{what} is too deep or too large; at most {fields.MOST_DEPTH} levels and {MOST_NODES} nodes"
            )


def _refuse_odd_keys(value: Any, what: str) -> None:
    if isinstance(value, dict):
        odd = next((key for key in value if not isinstance(key, str)), None)
        if odd is not None:
            raise PipelineError(f"{what} has the key {odd!r}, which is no text; put it in quotes")
        for inner in value.values():
            _refuse_odd_keys(inner, what)
    elif isinstance(value, list):
        for inner in value:
            _refuse_odd_keys(inner, what)

"""Whether IR has texts, lists and objects where it should: the engine trusts compilers, but anybody may send a request.

Only what the engine reads is looked at. Values of parameters and metadata are free; names of tasks, parameters and so
on are keys that may be any word, also one that means something elsewhere.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.errors import PipelineError

_FREE = frozenset({"defaultValue", "constant", "constantValue", "metadata", "literals", "raw", "sdkVersion"})
_NAMES = frozenset({"tasks", "components", "executors", "parameters", "artifacts"})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) for one in value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_span(value: Any) -> bool:
    """As protobuf writes a duration: `3600s`."""
    if not isinstance(value, str) or not value.endswith("s"):
        return False
    return value[:-1].replace(".", "", 1).isdecimal() and value.isascii()


_Kind = tuple[Callable[[Any], bool], str]
_TEXT: _Kind = (_is_text, "a text")
_TEXTS: _Kind = (_is_texts, "a list of texts")
_OBJECT: _Kind = (_is_object, "an object")
_OBJECTS: _Kind = (_is_objects, "a list of objects")
_FLAG: _Kind = (_is_flag, "true or false")
_NUMBER: _Kind = (_is_number, "a number")
_SPAN: _Kind = (_is_span, "a duration like 60s")
_TEXT_KEYS = """name description image executorLabel parameterType condition strategy producerTask outputParameterKey
    outputArtifactKey componentInputParameter componentInputArtifact parameterExpressionSelector runtimeParameter
    schemaTitle schemaVersion itemInput inputParameter producerSubtask type"""
_OBJECT_KEYS = """pipelineInfo root deploymentSpec dag inputs outputs inputDefinitions outputDefinitions componentRef
    taskInfo cachingOptions retryPolicy triggerPolicy parameterIterator iteratorPolicy artifactType taskOutputParameter
    taskOutputArtifact taskFinalStatus runtimeValue container importer artifactUri typeSchema items resources
    accelerator valueFromParameter valueFromOneof"""
KINDS: Mapping[str, _Kind] = (
    dict.fromkeys(_TEXT_KEYS.split(), _TEXT)
    | dict.fromkeys(_OBJECT_KEYS.split(), _OBJECT)
    | dict.fromkeys(_NAMES, _OBJECT)
    | dict.fromkeys(("command", "args", "dependentTasks"), _TEXTS)
    | dict.fromkeys(("env", "parameterSelectors", "artifactSelectors"), _OBJECTS)
    | dict.fromkeys(("isOptional", "isArtifactList", "enableCache", "reimport"), _FLAG)
    | dict.fromkeys(("maxRetryCount", "parallelismLimit", "backoffFactor"), _NUMBER)
    | dict.fromkeys(("backoffDuration", "backoffMaxDuration"), _SPAN)
)


def check(spec: Any) -> None:
    """Refuses IR with something where something else should be.

    Raises:
        PipelineError: names the place.
    """
    if isinstance(spec, Mapping):
        _check(spec, (), names=False)


def _check(value: Mapping[str, Any], place: tuple[str, ...], names: bool) -> None:
    for key, inner in value.items():
        here = (*place, key)
        if names:
            _expect(inner, _OBJECT, here)
        elif key in _FREE:
            continue
        elif key in KINDS:
            _expect(inner, KINDS[key], here)
        for number, one in enumerate(inner if isinstance(inner, list) else [inner]):
            if isinstance(one, Mapping):
                at = (*here, str(number)) if isinstance(inner, list) else here
                _check(one, at, names=not names and key in _NAMES)


def _expect(value: Any, kind: _Kind, place: tuple[str, ...]) -> None:
    fits, expected = kind
    if not fits(value):
        raise PipelineError(f"{'.'.join(place)[-120:]} in the pipeline should be {expected}; compile it with kfp 2")

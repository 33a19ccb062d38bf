"""What an executor of the compiled pipeline asks of Kubernetes, as parts of a Pod. Pure.

Resources are KFP's own table; the rest is what kfp-kubernetes writes into the second document of the IR.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.engine.launch import Job
from pipeline.engine.placeholders import fill_constant
from pipeline.engine.values import ValueProblem
from pipeline.errors import PipelineError

Json = dict[str, Any]
_PLAIN_TOLERATION = ("key", "operator", "value", "effect", "tolerationSeconds")


@dataclass(frozen=True)
class Settled:
    """Parts of a Pod; `has_gpu` when it asks for an accelerator, `deadline_s` 0 for none."""

    resources: Json = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: list[Json] = field(default_factory=list)
    volumes: list[Json] = field(default_factory=list)
    mounts: list[Json] = field(default_factory=list)
    environment: list[Json] = field(default_factory=list)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pull_secrets: tuple[str, ...] = ()
    pull_policy: str = ""
    deadline_s: int = 0
    has_gpu: bool = False


def of(job: Job) -> Settled:
    """Everything that a job's executor asks for.

    Raises:
        PipelineError: a setting that this launcher does not know, or a parameter that the task does not have.
    """
    if job.container is None:
        return Settled()
    wishes = job.container.kubernetes
    if unknown := sorted(set(wishes) - _KNOWN):
        raise PipelineError(
            f"the task asks for {', '.join(unknown)} of kfp-kubernetes, which the Kubernetes launcher does not know; "
            "leave it out, or submit the pipeline to Kubeflow"
        )
    read = _Reader(job.parameters)
    resources, has_gpu = _resources(job.container.resources, read)
    volumes = [made for kind in _VOLUMES for made in (_VOLUMES[kind](one, read) for one in _listed(wishes.get(kind)))]
    metadata = wishes.get("podMetadata", {})
    return Settled(
        resources=resources,
        node_selector=_node_selector(wishes.get("nodeSelector", {}), read),
        tolerations=[made for one in wishes.get("tolerations", ()) for made in _tolerations(one, read)],
        volumes=[{"name": name, **source} for name, source, _ in volumes],
        mounts=[{"name": name, **mount} for name, _, mount in volumes],
        environment=_environment(wishes, read),
        labels=metadata.get("labels", {}),
        annotations=metadata.get("annotations", {}),
        pull_secrets=tuple(_named(one, "secretName", read) for one in wishes.get("imagePullSecret", ())),
        pull_policy=wishes.get("imagePullPolicy", ""),
        deadline_s=round(job.container.timeout_s),
        has_gpu=has_gpu,
    )


class _Reader:
    """Values that may stand for a parameter of the task."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters

    def filled(self, value: Any) -> Any:
        """A constant with its placeholders filled."""
        try:
            return fill_constant(value, self._parameters, {})
        except ValueProblem as error:
            raise PipelineError(f"the task's placement says {value!r}: {error}") from None

    def parameter(self, source: Mapping[str, Any]) -> Any:
        """What a `...Parameter` or `...Json` field of kfp-kubernetes stands for."""
        if "runtimeValue" in source:
            return self.filled(source["runtimeValue"].get("constant"))
        name = source.get("componentInputParameter", "")
        if name not in self._parameters:
            raise PipelineError(
                f"the task's placement is taken from {name or sorted(source)}, which is no input of the task; "
                "pass the value as an input, or write it as a constant"
            )
        return self._parameters[name]


def _resources(table: Mapping[str, Any], read: _Reader) -> tuple[Json, bool]:
    """KFP's table as requests and limits. The newer keys are quantities; the older count cores and gigabytes."""
    limits = _quantities(table, read, "Limit")
    requests = _quantities(table, read, "Request")
    accelerator = table.get("accelerator") or {}
    count = str(read.filled(accelerator.get("resourceCount", accelerator.get("count", "0"))))
    has_gpu = count not in ("", "0")
    if has_gpu:  # both, as nothing else is allowed: whoever reads the Pod need not know what Kubernetes would fill in
        resource = str(read.filled(accelerator.get("resourceType", accelerator.get("type"))))
        limits[resource] = requests[resource] = count
    return {k: v for k, v in (("limits", limits), ("requests", requests)) if v}, has_gpu


def _quantities(table: Mapping[str, Any], read: _Reader, end: str) -> dict[str, str]:
    found = {}
    for name, unit in (("cpu", 1.0), ("memory", 1e9)):
        told, older = table.get(f"resource{name.title()}{end}"), table.get(name + end)
        if told:
            found[name] = str(read.filled(told))
        elif older:
            found[name] = f"{float(older) * unit:g}" if name == "cpu" else str(round(float(older) * unit))
    return found


def _node_selector(body: Mapping[str, Any], read: _Reader) -> Mapping[str, str]:
    chosen = body.get("nodeSelectorJson")
    return dict(read.parameter(chosen) if chosen else body.get("labels", {}))


def _tolerations(body: Mapping[str, Any], read: _Reader) -> list[Json]:
    if "tolerationJson" in body:
        given = read.parameter(body["tolerationJson"])
        return [dict(one) for one in _listed(given)]
    one = {k: body[k] for k in _PLAIN_TOLERATION if body.get(k)}
    return [one | {"tolerationSeconds": int(one["tolerationSeconds"])} if "tolerationSeconds" in one else one]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] if value else []


def _named(body: Mapping[str, Any], field_name: str, read: _Reader) -> str:
    """A name that stands there, or that a parameter gives."""
    source = body.get(field_name + "Parameter")
    return str(read.parameter(source) if source else body[field_name])


# Each gives a volume's name, its source and its mount.
_Volume = tuple[str, Json, Json]


def _empty_dir(body: Mapping[str, Any], read: _Reader) -> _Volume:
    source = {k: body[k] for k in ("medium", "sizeLimit") if body.get(k)}
    return body["volumeName"], {"emptyDir": source}, {"mountPath": body["mountPath"]}


def _shared_memory(body: Mapping[str, Any], read: _Reader) -> _Volume:
    size = {"sizeLimit": body["size"]} if body.get("size") else {}
    return body.get("volumeName") or "shm", {"emptyDir": {"medium": "Memory", **size}}, {"mountPath": "/dev/shm"}


def _secret(body: Mapping[str, Any], read: _Reader) -> _Volume:
    name = _named(body, "secretName", read)
    source = {"secret": {"secretName": name, "optional": bool(body.get("optional"))}}
    return f"secret-{name}", source, {"mountPath": body["mountPath"], "readOnly": True}


def _config_map(body: Mapping[str, Any], read: _Reader) -> _Volume:
    name = _named(body, "configMapName", read)
    source = {"configMap": {"name": name, "optional": bool(body.get("optional"))}}
    return f"config-{name}", source, {"mountPath": body["mountPath"], "readOnly": True}


def _claim(body: Mapping[str, Any], read: _Reader) -> _Volume:
    name = str(body.get("constant") or read.parameter(body.get("pvcNameParameter") or body))
    mount = {k: body[k] for k in ("mountPath", "subPath") if body.get(k)}
    return f"claim-{name}", {"persistentVolumeClaim": {"claimName": name}}, mount


_VOLUMES: Mapping[str, Callable[[Mapping[str, Any], _Reader], _Volume]] = {
    "emptyDirMounts": _empty_dir,
    "enabledSharedMemory": _shared_memory,
    "secretAsVolume": _secret,
    "configMapAsVolume": _config_map,
    "pvcMount": _claim,
}
_KEYS_AS_ENV = {"secretAsEnv": ("secretName", "secretKeyRef"), "configMapAsEnv": ("configMapName", "configMapKeyRef")}
_KEY_FIELD = {"secretAsEnv": "secretKey", "configMapAsEnv": "configMapKey"}
_KNOWN = frozenset({*_VOLUMES, *_KEYS_AS_ENV, "nodeSelector", "tolerations", "podMetadata", "fieldPathAsEnv"}) | {
    "imagePullSecret",
    "imagePullPolicy",
    "activeDeadlineSeconds",
}


def _environment(wishes: Mapping[str, Any], read: _Reader) -> list[Json]:
    paths = wishes.get("fieldPathAsEnv", ())
    found = [{"name": one["name"], "valueFrom": {"fieldRef": {"fieldPath": one["fieldPath"]}}} for one in paths]
    for kind, (named, reference) in _KEYS_AS_ENV.items():
        for one in wishes.get(kind, ()):
            name, optional = _named(one, named, read), bool(one.get("optional"))
            for pair in one.get("keyToEnv", ()):
                key = {"name": name, "key": pair[_KEY_FIELD[kind]], "optional": optional}
                found.append({"name": pair["envVar"], "valueFrom": {reference: key}})
    return found

"""The checks over containers: what a pod is started with. The others, and the reasons for all, stand in `ir_checks`."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from pipeline.ir_shape import Shape, find, strings

GIB = 2**30
WORKING_SET = 1 * GIB
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": GIB, "Ti": 2**40}
_SUPPORTED = re.compile(
    r"\{\{\$(\.inputs\.parameters\[['\"][^'\"]+['\"]\]|\.(in|out)puts\.artifacts\[['\"][^'\"]+['\"]\]\.(path|uri)"
    r"|\.outputs\.parameters\[['\"][^'\"]+['\"]\]\.output_file)?\}\}"
)
Found = Iterator[tuple[str, str]]


def platform_inputs_exist(ir: Shape) -> Found:
    for task in ir.tasks:
        known = ir.dags[task.dag].get("inputDefinitions", {}).get("parameters", {})
        for name in find(ir.platform.get(task.executor, {}), "componentInputParameter"):
            if name not in known:
                yield task.place, f"its Kubernetes settings read {name}, which its DAG is not given; pass it on"


def resource_parameters(ir: Shape) -> Found:
    root = ir.dags["root"].get("inputDefinitions", {}).get("parameters", {})
    for task in ir.tasks:
        container = ir.executors.get(task.executor, {}).get("container", {})
        text = " ".join([*strings(container.get("resources", {})), container.get("image", "")])
        for name in set(re.findall(r"pipelinechannel--([A-Za-z0-9_-]+)", text)):
            if f"pipelinechannel--{name}" not in task.inputs():
                yield task.place, f"its resources use {name}, which it is not given; pass it as a plain input too"
            if root.get(name, {}).get("parameterType", "STRING") != "STRING":
                yield task.place, f"its resources use {name}; KFP drops all but STRING there, so make it one"


def shared_containers(ir: Shape) -> Found:
    first: dict[str, Any] = {}
    for task in ir.tasks:
        container = ir.executors.get(task.executor, {}).get("container")
        interface = {key: value for key, value in task.component.items() if key != "executorLabel"}
        if container and first.setdefault(json.dumps(container, sort_keys=True), interface) != interface:
            yield (
                task.place,
                "same container as another component, other interface: KFP would share the first one's; change one",
            )


def placeholders(ir: Shape) -> Found:
    for name, container in _containers(ir):
        words = [*container.get("command", []), *container.get("args", [])]
        for word in words:
            for placeholder in re.findall(r"\{\{\$.*?\}\}", word):
                if not _SUPPORTED.fullmatch(placeholder):
                    yield name, f"the launcher leaves {placeholder} as it is; take it from {{{{$}}}}"
            if '"Concat"' in word:
                yield name, "the launcher does not know Concat; join the words in the step"
        if not any("{{$}}" in word for word in words):
            yield name, "has no {{$}}: the step would not learn its inputs; add it to the arguments"


def placeholder_inputs_passed(ir: Shape) -> Found:
    for task in ir.tasks:
        container = ir.executors.get(task.executor, {}).get("container", {})
        for name in re.findall(r"\{\{\$\.inputs\.parameters\[['\"]([^'\"]+)", " ".join(container.get("args", []))):
            if name not in task.inputs():
                yield task.place, f"its arguments use {name}, which it is not given; pass it"


def images_pinned(ir: Shape) -> Found:
    for name, container in _containers(ir):
        image = container.get("image", "")
        tag = image.rpartition("/")[2].partition(":")[2]
        if "{{$" not in image and "@sha256:" not in image and tag in ("", "latest"):
            yield name, f"image {image!r} is not pinned; give a version tag or a digest"


def retries_have_time(ir: Shape) -> Found:
    for task in ir.tasks:
        policy = task.body.get("retryPolicy", {})
        attempts = int(policy.get("maxRetryCount", 0)) + 1
        expected = float(ir.platform.get(task.executor, {}).get("activeDeadlineSeconds", 3600))
        if attempts > 1 and float(str(policy.get("backoffMaxDuration", "3600s")).rstrip("s")) <= expected * attempts:
            yield task.place, f"backoffMaxDuration counts from the first start; give more than {expected * attempts:g}s"


def gpu_tasks(ir: Shape) -> Found:
    for name, container in _containers(ir):
        resources, settings = container.get("resources", {}), ir.platform.get(name, {})
        accelerator = resources.get("accelerator")
        if accelerator is None:
            continue
        if not (accelerator.get("resourceType") and accelerator.get("resourceCount")):
            yield name, "has an accelerator without type or count: KFP would schedule it without a GPU; give both"
        if not settings.get("tolerations"):
            yield name, "tolerates no taint, so it never gets onto a GPU node pool; add one"
        shared = sum(
            _bytes(mount.get("sizeLimit", "0")) for mount in settings.get("emptyDirMounts", []) if mount.get("medium")
        )
        if _bytes(resources.get("resourceMemoryLimit", "0")) < shared + WORKING_SET:
            yield name, "its memory limit leaves no room beside /dev/shm, which counts against it; raise it"


def _containers(ir: Shape) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, executor["container"]) for name, executor in ir.executors.items() if "container" in executor)


def _bytes(quantity: str) -> float:
    """Bytes of a Kubernetes quantity; endless where it is only known at run time."""
    parts = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity.strip())
    return float(parts[1]) * _UNITS.get(parts[2], 1) if parts else math.inf

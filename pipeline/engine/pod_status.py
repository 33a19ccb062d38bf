"""What the state of a Pod means: it waits and for what, it runs, or how it ended and why. Pure."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pipeline.engine.failures import MENDABLE_EXIT, Failure, FailureKind
from pipeline.engine.launch import Exit

Json = Mapping[str, Any]
Events = Sequence[tuple[str, str]]
TMP_VOLUME = "tmp"
"""Name of a Pod's volume of temporary files."""
_KILLED = 128
_BY_SIGNAL = frozenset({_KILLED + 9, _KILLED + 15})

# Reasons of a container that has not begun. What no waiting mends; what a registry or somebody may still mend.
_NEVER_BEGINS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"})
_CONFIGURED_WRONG = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_CANNOT_START = frozenset({"StartError", "ContainerCannotRun"})
# A clause of the scheduler's message that passes when other Pods end, nodes come back or new ones are made.
_PASSES = re.compile(r"Insufficient|Too many pods|unschedulable|node\.kubernetes\.io/|cluster-autoscaler|preempt", re.I)
_COUNTED = re.compile(r"^(?:\d+ )(?:node\(s\) )?")
# What the cluster's autoscaler says of a Pod that it works on, or will once it may.
_AUTOSCALER_HOPES = re.compile(r"backoff|max node group size|in progress", re.I)
_QUOTA = re.compile(r"exceeded quota: (\S+), requested: (.+?), used: .+?, limited: (.+)$")
# What the kubelet says of a Pod that has written more than it may; a node that is short of disk says `low on resource`.
_OVER_DISK_LIMIT = re.compile(r"exceeds the (?:total )?limit|exceeded its local ephemeral storage limit")
_TROUBLE_AT_NODE = frozenset({"FailedAttachVolume", "FailedMount", "FailedCreatePodSandBox"})
_AT_NODE = _TROUBLE_AT_NODE | {"Scheduled", "SuccessfulAttachVolume", "Pulling", "Pulled"}
_EVENTS_OF_END = ("Preempted", "TaintManagerEviction", "Evicted", "NodeControllerEviction", "Killing")


class Wait(StrEnum):
    """Why a Pod has not begun."""

    ROOM = "room"  # quota, no free node, no free GPU: for ever, if need be
    MISFIT = "misfit"  # no node would take it, however empty
    IMAGE = "image"
    NEVER = "never"  # cannot begin
    NODE = "node"  # its node prepares it


@dataclass(frozen=True)
class Waiting:
    """That a Pod waits, and for what, in a line for people."""

    kind: Wait
    text: str


def waiting(pod: Json) -> Waiting | None:
    """What a Pod that has not begun waits for; None when its command runs or has run."""
    status = pod.get("status", {})
    container = _container(status)
    if {"running", "terminated"} & set(container) or status.get("phase") in ("Succeeded", "Failed"):
        return None
    place = _condition(status, "PodScheduled")
    if place.get("status") != "True" and not status.get("startTime"):
        return _unscheduled(str(place.get("message", "")))
    held = container.get("waiting", {})
    reason, message = str(held.get("reason", "")), str(held.get("message", ""))
    told = _line(f"{reason}: {message}" if message else reason)
    if reason in _NEVER_BEGINS:
        return Waiting(Wait.NEVER, told)
    if reason in _IMAGE | _CONFIGURED_WRONG:
        return Waiting(Wait.IMAGE, told)
    node = pod.get("spec", {}).get("nodeName", "its node")
    return Waiting(Wait.NODE, f"{node} prepares it" + (f": {told}" if told else ""))


def _unscheduled(message: str) -> Waiting:
    text = _line(message) or "waits for the scheduler"
    clauses = [_COUNTED.sub("", c.strip()) for c in message.partition(": ")[2].rstrip(".").split(", ") if c.strip()]
    passes = not message or any(_PASSES.search(clause) for clause in clauses)
    return Waiting(Wait.ROOM if passes else Wait.MISFIT, text)


def autoscaler_hopes(events: Events) -> bool:
    """Whether the autoscaler makes a node for a Pod, or would as soon as it may."""
    return any(
        reason == "TriggeredScaleUp" or (reason == "NotTriggerScaleUp" and _AUTOSCALER_HOPES.search(message))
        for reason, message in events
    )


def trouble_at_node(events: Events) -> str:
    """What keeps a node from preparing a Pod, for instance a volume that it cannot mount; empty for nothing."""
    told = [(reason, message) for reason, message in events if reason in _AT_NODE]
    if not told or told[-1][0] not in _TROUBLE_AT_NODE:
        return ""
    message = _line(told[-1][1])
    advice = "; a claim that is ReadWriteOnce is on one node at a time, so make it ReadWriteMany or use one node"
    return message + advice * ("Multi-Attach" in message)


def never_began(wait: Waiting, patience_s: float = 0.0) -> Failure:
    """The failure of a Pod whose waiting is over."""
    cause = wait.text if not patience_s else f"{wait.text} (for {patience_s:g} s)"
    fixes = {
        Wait.MISFIT: "make a node pool that fits its selector, tolerations and size, or change these in the recipe",
        Wait.IMAGE: "push the image, mend its name, or give the Pods a secret to pull it (image_pull_secrets)",
        Wait.NEVER: "mend the image's name, or load the image on the node",
    }
    fix = fixes.get(wait.kind, "look at `kubectl describe pod` for what its node lacks")
    return Failure(FailureKind.NOT_STARTED, _line(cause), fix)


def refused(message: str) -> Failure | None:
    """What the API server's refusal to make a Pod means; None for a quota that has room for it once others end."""
    quota = _QUOTA.search(message)
    if "status unknown for quota" in message:  # it has just been made
        return None
    if quota is None:
        fix = "mend what the message names: a right of the engine's service account, an account, a class, a limit"
        return Failure(FailureKind.NOT_STARTED, f"the cluster refuses its Pod: {_line(message)}", fix)
    asked, limits = _amounts(quota[2]), _amounts(quota[3])
    too_much = [name for name, amount in asked.items() if name in limits and amount > limits[name]]
    if not too_much:
        return None
    cause = f"it never fits into quota {quota[1]}: requested {quota[2]}, limited to {quota[3]}"
    return Failure(FailureKind.NOT_STARTED, cause, "raise the quota, or let the task ask for less")


def _amounts(text: str) -> dict[str, float]:
    """`limits.memory=8Gi,pods=1` as numbers."""
    from pipeline.engine.budget import quantity

    pairs = (part.partition("=") for part in text.split(","))
    return {name: quantity(value) for name, _, value in pairs}


def ending(pod: Json) -> Exit | None:
    """How a Pod's command ended; None when it runs or waits."""
    status = pod.get("status", {})
    ended = _container(status).get("terminated")
    reason = str(status.get("reason", ""))
    if ended and ended.get("exitCode") == 0:
        return Exit(0, _usage(status))
    if status.get("phase") == "Failed" and reason:
        return Exit(_code(ended), _usage(status), _of_pod(pod, reason))
    if ended:
        return Exit(_code(ended), _usage(status), _of_container(pod, ended))
    return None


def deleted(pod: Json, events: Events) -> Exit:
    """How a Pod ended that somebody deleted."""
    ended = ending(pod)
    code = ended.code if ended else None
    if ended and (code == 0 or ended.failure or (code is not None and code not in _BY_SIGNAL)):
        return ended
    said = _disruption(pod) or next((m for r, m in reversed(events) if r in _EVENTS_OF_END[:-1]), "")
    name = pod["metadata"]["name"]
    cause = f"Pod {name} was deleted" + (f": {_line(said)}" if said else ", by hand, by a drain or with its node")
    return Exit(code, ended.usage if ended else {}, preempted(cause))


def preempted(cause: str) -> Failure:
    """The failure of a Pod that was ended from outside."""
    return Failure(
        FailureKind.PREEMPTED, cause, "nothing; if it happens often, give it a higher priority or other nodes"
    )


def begun(pod: Json) -> bool:
    """Whether its command runs or has run, so that it may have a log."""
    return bool({"running", "terminated"} & set(_container(pod.get("status", {}))))


def held_since(pod: Json) -> float | None:
    """From when a node has kept room for it, in seconds since 1970; None while it queues. See launch.Queueing."""
    status = pod.get("status", {})
    if told := _time(status.get("startTime")):
        return told.timestamp()
    return math.inf if begun(pod) else None


def _of_pod(pod: Json, reason: str) -> Failure:
    """A Pod that its node has ended, or refused."""
    message = _line(str(pod["status"].get("message", "")))
    told = f"{reason}: {message}" if message else reason
    if reason == "DeadlineExceeded":
        limit = pod.get("spec", {}).get("activeDeadlineSeconds", 0)
        fix = "give it more time (kubernetes.set_timeout) or less to do"
        return Failure(FailureKind.TIMEOUT, f"timed out after {limit} s", fix)
    if reason == "Evicted" and _OVER_DISK_LIMIT.search(message):
        fix = "raise the limit that it names (ephemeral-storage, or a volume's size), or write less"
        if f'"{TMP_VOLUME}"' in message:
            fix = "raise tmp_size in kubernetes.toml, or lower SEAMLINE_CACHE_MB: steps keep their cache there"
        return Failure(FailureKind.DISK_FULL, told, fix)
    if reason == "Evicted":
        short = "disk (ephemeral-storage)" if "ephemeral-storage" in message else "memory or disk"
        fix = f"nothing, if its node was short of {short} by accident; else raise the task's limit or free the node's"
        return Failure(FailureKind.PREEMPTED, told, fix)
    return preempted(told)  # node shut down or lost; or it had no room after all, for instance OutOfcpu


def _of_container(pod: Json, ended: Json) -> Failure | None:
    """What the node knows better than exit status and log; None leaves it to these."""
    reason, code = str(ended.get("reason", "")), int(ended.get("exitCode", 0))
    if reason in _CANNOT_START:
        cause = _line(f"its command cannot be started: {ended.get('message', reason)}")
        return Failure(FailureKind.NOT_STARTED, cause, "mend the command, or the image, which lacks the program")
    if reason == "OOMKilled" and code != MENDABLE_EXIT:
        limit = _task_of(pod).get("resources", {}).get("limits", {}).get("memory", "its node's memory")
        what = "its container was" if code == _KILLED + 9 else f"it ended with exit code {code} after one process was"
        fix = "raise its memory limit, or lower the batch size or the workers"
        return Failure(FailureKind.OUT_OF_MEMORY, f"out of memory: {what} killed at the limit of {limit}", fix)
    if code in _BY_SIGNAL and _disruption(pod):
        return preempted(f"Pod {pod['metadata']['name']} was ended: {_disruption(pod)}")
    return None


def _disruption(pod: Json) -> str:
    """Why the cluster ends it, as newer ones (1.26) write on the Pod."""
    return _line(str(_condition(pod.get("status", {}), "DisruptionTarget").get("message", "")))


def _container(status: Json) -> Json:
    """The state of the one container."""
    statuses = status.get("containerStatuses") or [{}]
    state: Json = statuses[0].get("state", {})
    return state


def _task_of(pod: Json) -> Json:
    container: Json = (pod.get("spec", {}).get("containers") or [{}])[0]
    return container


def _condition(status: Json, kind: str) -> Json:
    return next((c for c in status.get("conditions") or () if c.get("type") == kind), {})


def _code(ended: Json | None) -> int | None:
    return int(ended["exitCode"]) if ended else None


def _usage(status: Json) -> dict[str, Any]:
    """How long its node has kept room for it: from then on a limit of time counts, too."""
    ended = _container(status).get("terminated", {})
    begin, end = _time(status.get("startTime") or ended.get("startedAt")), _time(ended.get("finishedAt"))
    return {"wall_s": round((end - begin).total_seconds(), 3)} if begin and end else {}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def _line(text: str) -> str:
    """One line of readable length."""
    words = " ".join(text.split())
    return words if len(words) <= 300 else words[:297] + "..."

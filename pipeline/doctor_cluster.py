"""What `seamline doctor` says of a Kubernetes cluster: reached, allowed what the launcher does, with GPUs and a volume.

Never an error, as only `--launcher kubernetes` needs one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.engine import cluster_place
from pipeline.engine.budget import quantity
from pipeline.engine.cluster_place import ClusterPlace
from pipeline.engine.kubernetes_api import RealCluster, connect
from pipeline.errors import PipelineError
from pipeline.finding import OK, OPTIONAL, Finding

RIGHTS = (
    *((verb, "pods", "") for verb in ("create", "get", "list", "watch", "delete")),
    ("get", "pods", "log"),
    ("list", "events", ""),
    ("get", "persistentvolumeclaims", ""),
)
"""What the launcher does: verb, resource, subresource. The Role of k8s/base grants the same; a test compares them."""
_LIVE = "status.phase!=Succeeded,status.phase!=Failed"
_RESTART = "kubectl apply -k k8s/overlays/YOURS, or ask whoever runs the cluster"


def look(state_dir: Path) -> list[Finding]:
    """The cluster that the launcher would use, if any."""
    try:
        place = cluster_place.read(state_dir)
        api = connect(place)
        version = api.ask("GET", "/version").get("gitVersion", "unknown")
    except PipelineError as error:
        told = f"not needed unless --launcher kubernetes; {error}"
        return [Finding("Kubernetes", OPTIONAL, told, "docs/kubernetes-launcher.md says how")]
    checks: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("Kubernetes rights", lambda: _rights(api)),
        ("Kubernetes GPUs", lambda: _gpus(api)),
        ("Kubernetes volume", lambda: _volume(api, place)),
    )
    reached = Finding("Kubernetes", OK, f"version {version}, namespace {api.namespace}")
    return [reached, *(_tried(name, check) for name, check in checks)]


def _tried(name: str, check: Callable[[], Finding]) -> Finding:
    """What may not be looked at is no fault: the launcher itself does not look there."""
    try:
        return check()
    except PipelineError as error:
        return Finding(name, OPTIONAL, f"cannot be looked at: {error}", _RESTART)


def _rights(api: RealCluster) -> Finding:
    lacking = [_in_words(right) for right in RIGHTS if not _may(api, right)]
    if lacking:
        return Finding("Kubernetes rights", OPTIONAL, f"not allowed: {', '.join(lacking)}", _RESTART)
    return Finding("Kubernetes rights", OK, "all that the launcher needs")


def _may(api: RealCluster, right: tuple[str, str, str]) -> bool:
    names = ("verb", "resource", "subresource")
    asked = {"namespace": api.namespace, **dict(zip(names, right, strict=True))}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = api.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    return bool((answer.get("status") or {}).get("allowed"))


def _in_words(right: tuple[str, str, str]) -> str:
    verb, resource, sub = right
    return f"{verb} {resource}/{sub}" if sub else f"{verb} {resource}"


def _gpus(api: RealCluster) -> Finding:
    nodes = {
        one["metadata"]["name"]: count for one in api.ask("GET", "/api/v1/nodes")["items"] if (count := _gpus_of(one))
    }
    if not nodes:
        told = "no node has one now; a pool that grows from zero gets its first when a Pod waits"
        return Finding("Kubernetes GPUs", OPTIONAL, told, "k8s/options/gpu-pool")
    pods = api.ask("GET", "/api/v1/pods", fieldSelector=_LIVE)["items"]
    taken = sum(_asked(pod) for pod in pods if pod["spec"].get("nodeName") in nodes)
    total = sum(nodes.values())
    told = f"{total:g} on {len(nodes)} node{'s' * (len(nodes) > 1)}, {max(0.0, total - taken):g} free"
    return Finding("Kubernetes GPUs", OK, told)


def _gpus_of(node: Mapping[str, Any]) -> float:
    return sum(_gpu_counts((node.get("status") or {}).get("allocatable") or {}))


def _asked(pod: Mapping[str, Any]) -> float:
    limits = ((one.get("resources") or {}).get("limits") or {} for one in pod["spec"]["containers"])
    return sum(count for found in limits for count in _gpu_counts(found))


def _gpu_counts(resources: Mapping[str, str]) -> Iterator[float]:
    return (quantity(count) for name, count in resources.items() if name.endswith("/gpu"))


def _volume(api: RealCluster, place: ClusterPlace) -> Finding:
    name = "Kubernetes volume"
    if place.host_path:
        return Finding(name, OK, "none: the state folder is at its own path on every node")
    if not place.claim:
        fix = 'write claim = "NAME" or host_path = true to kubernetes.toml'
        return Finding(name, OPTIONAL, "the state folder reaches no Pod", fix)
    found = api.ask("GET", f"/api/v1/namespaces/{api.namespace}/persistentvolumeclaims/{place.claim}")
    phase = found["status"].get("phase", "unknown")
    told = f"{place.claim} is {phase}, {', '.join(found['spec'].get('accessModes', ()))}"
    if phase != "Bound":
        return Finding(name, OPTIONAL, told, f"kubectl -n {api.namespace} describe pvc {place.claim}")
    return Finding(name, OK, told)

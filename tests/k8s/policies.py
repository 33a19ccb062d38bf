"""What every build of the manifests has to keep. A policy takes all objects of a build and yields its breaches."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.k8s.manifests import Manifest, Workload, title, workloads
from tests.k8s.references import what_is_named_exists

Policy = Callable[[Sequence[Manifest]], Iterator[str]]
NAMESPACE = "seamline"
CLUSTER_WIDE = {"Namespace", "PriorityClass"}
GPU = "nvidia.com/gpu"
ENGINE = {  # all that the engine may do with the Kubernetes API
    ("", "pods"): {"create", "get", "list", "watch", "delete"},
    ("", "pods/log"): {"get"},
    ("", "events"): {"list"},
    ("", "persistentvolumeclaims"): {"get"},
}
RESOLVERS = {  # whom a Pod asks for names differs from cluster to cluster
    "kube-dns": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
    "NodeLocal DNSCache": {"ipBlock": {"cidr": "169.254.20.10/32"}},
    "Cloud DNS for GKE": {"ipBlock": {"cidr": "169.254.169.254/32"}},
}
PRIVATE_VOLUMES = {"configMap", "secret", "persistentVolumeClaim", "emptyDir", "projected", "downwardAPI"}
FIXED_IMAGE = re.compile(r".+(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$")


def nobody_is_root(objects: Sequence[Manifest]) -> Iterator[str]:
    """Pods say that they are no root, and as whom they run."""
    for workload in workloads(objects):
        for where, context in _contexts(workload):
            if context.get("runAsNonRoot") is False or context.get("runAsUser") == 0 or context.get("runAsGroup") == 0:
                yield f"{where}: runs as root"
        context = workload.pod.get("securityContext", {})
        if not (context.get("runAsNonRoot") and context.get("runAsUser") and context.get("runAsGroup")):
            yield f"{workload}: does not say runAsNonRoot, runAsUser and runAsGroup"


def nobody_is_privileged(objects: Sequence[Manifest]) -> Iterator[str]:
    """No capability, no way to get one, nothing of the node."""
    for workload in workloads(objects):
        for container in workload.containers:
            context = container.get("securityContext", {})
            if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
                yield f"{workload}: {container['name']} may gain privileges"
            if context.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{workload}: {container['name']} keeps capabilities"
        if any(workload.pod.get(share) for share in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{workload}: shares a name space of the node"
        for volume in workload.pod.get("volumes", []):
            if set(volume) - {"name"} - PRIVATE_VOLUMES:
                yield f"{workload}: volume {volume['name']} is {', '.join(set(volume) - {'name'})}"


def root_file_systems_are_read_only(objects: Sequence[Manifest]) -> Iterator[str]:
    """What is written goes to volumes that the manifest names."""
    for workload in workloads(objects):
        for container in workload.containers:
            if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
                yield f"{workload}: {container['name']} can write to its image"


def system_calls_are_filtered(objects: Sequence[Manifest]) -> Iterator[str]:
    """Seccomp's default profile."""
    for workload in workloads(objects):
        for where, context in _contexts(workload):
            given = context.get("seccompProfile", {}).get("type")
            if given != "RuntimeDefault" and (given or where == str(workload)):
                yield f"{where}: seccompProfile is {given}"


def images_are_fixed(objects: Sequence[Manifest]) -> Iterator[str]:
    """A tag other than `latest`, or a digest."""
    for workload in workloads(objects):
        for container in workload.containers:
            if not FIXED_IMAGE.match(container["image"]):
                yield f"{workload}: image {container['image']} can change by itself"


def resources_are_bounded(objects: Sequence[Manifest]) -> Iterator[str]:
    """CPU and memory asked for, memory limited, volumes on the node limited, GPUs asked for as many as allowed."""
    for workload in workloads(objects):
        for container in workload.containers:
            resources = container.get("resources", {})
            requests, limits = resources.get("requests", {}), resources.get("limits", {})
            if missing := {"cpu", "memory"} - set(requests) | {"memory"} - set(limits):
                yield f"{workload}: {container['name']} says nothing of {', '.join(sorted(missing))}"
            if requests.get(GPU) != limits.get(GPU):
                yield f"{workload}: {container['name']} asks for {requests.get(GPU)} GPUs, limit {limits.get(GPU)}"
        for volume in workload.pod.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{workload}: volume {volume['name']} can fill the node"


def defaults_refuse_nobody(objects: Sequence[Manifest]) -> Iterator[str]:
    """A Pod that names no limit is let in: it gets one where the quota counts limits, and elsewhere none that may be
    less than what it asks for.
    """
    hard = {name for quota in _of_kind(objects, "ResourceQuota") for name in quota["spec"]["hard"]}
    counted = {name.removeprefix("limits.") for name in hard if name.startswith("limits.")}
    given = {
        name
        for made in _of_kind(objects, "LimitRange")
        for one in made["spec"]["limits"]
        for name in one.get("default", {})
    }
    yield from (f"a Pod that asks for more {name} than the default limit is refused" for name in given - counted)
    yield from (f"a Pod without a limit of {name} is refused by the quota" for name in counted - given)


def servers_are_probed(objects: Sequence[Manifest]) -> Iterator[str]:
    """What has a port has a readiness and a liveness probe."""
    for workload in workloads(objects):
        for container in workload.containers:
            if container.get("ports") and not {"readinessProbe", "livenessProbe"} <= set(container):
                yield f"{workload}: {container['name']} has ports and lacks a probe"


def tokens_are_rare(objects: Sequence[Manifest]) -> Iterator[str]:
    """A token for the Kubernetes API goes to accounts that a role is bound to, in Pods that say so."""
    bound = {s["name"] for o in objects if o["kind"] == "RoleBinding" for s in o["subjects"]}
    for account in _of_kind(objects, "ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{title(account)}: gives its token to every Pod"
    for workload in workloads(objects):
        account = workload.pod.get("serviceAccountName", "default")
        if workload.pod.get("automountServiceAccountToken") is not (account in bound):
            yield f"{workload}: automountServiceAccountToken is not {account in bound}"
        if workload.pod.get("enableServiceLinks") is not False:
            yield f"{workload}: gets every Service's address in its environment"


def rights_are_the_engine_s(objects: Sequence[Manifest]) -> Iterator[str]:
    """No more than the engine needs, in our own name space only."""
    for made in objects:
        if made["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            yield f"{title(made)}: reaches beyond the name space"
        for rule in made.get("rules", []) if made["kind"] in ("Role", "ClusterRole") else []:
            for key in [(group, resource) for group in rule["apiGroups"] for resource in rule["resources"]]:
                if extra := set(rule["verbs"]) - ENGINE.get(key, set()):
                    yield f"{title(made)}: may {', '.join(sorted(extra))} {key[1]}"


def everything_is_in_the_namespace(objects: Sequence[Manifest]) -> Iterator[str]:
    """Nothing is put beside it."""
    for made in objects:
        expected = None if made["kind"] in CLUSTER_WIDE else NAMESPACE
        if made["metadata"].get("namespace") != expected:
            yield f"{title(made)}: name space {made['metadata'].get('namespace')}, expected {expected}"


def silence_is_the_default(objects: Sequence[Manifest]) -> Iterator[str]:
    """A policy denies all traffic of all Pods, and nothing lets traffic in from everywhere."""
    both = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    if both not in [policy["spec"] for policy in _of_kind(objects, "NetworkPolicy")]:
        yield "no NetworkPolicy denies everything by default"
    for policy in _of_kind(objects, "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", []):
            if not rule.get("from") or not rule.get("ports"):
                yield f"{title(policy)}: lets in everybody, or to every port"
        for rule in policy["spec"].get("egress", []):
            if not rule.get("ports"):
                yield f"{title(policy)}: lets out to every port"


def names_can_be_asked(objects: Sequence[Manifest]) -> Iterator[str]:
    """Every Pod reaches every kind of resolver, by UDP and, for long answers, by TCP."""
    for_all = [policy["spec"] for policy in _of_kind(objects, "NetworkPolicy") if policy["spec"]["podSelector"] == {}]
    rules = [rule for spec in for_all for rule in spec.get("egress", [])]
    for protocol in ("UDP", "TCP"):
        port = {"protocol": protocol, "port": 53}
        reached = [peer for rule in rules if port in rule["ports"] for peer in rule.get("to", [])]
        yield from (f"no Pod may ask {name} by {protocol}" for name, peer in RESOLVERS.items() if peer not in reached)


def services_stay_inside(objects: Sequence[Manifest]) -> Iterator[str]:
    """No port on nodes, no load balancer that knows nothing of identities."""
    for service in _of_kind(objects, "Service"):
        if service["spec"].get("type", "ClusterIP") != "ClusterIP":
            yield f"{title(service)}: is a {service['spec']['type']}"
    for ingress in _of_kind(objects, "Ingress"):
        configs = [c for c in _of_kind(objects, "BackendConfig") if c["spec"].get("iap", {}).get("enabled")]
        if not configs:
            yield f"{title(ingress)}: no identity-aware proxy before it"


def nodes_can_be_drained(objects: Sequence[Manifest]) -> Iterator[str]:
    """A budget that allows no disruption holds up every upgrade of the nodes."""
    replicas = min((d["spec"]["replicas"] for d in _of_kind(objects, "Deployment")), default=0)
    for budget in _of_kind(objects, "PodDisruptionBudget"):
        least, most = budget["spec"].get("minAvailable", 0), budget["spec"].get("maxUnavailable", 1)
        if most in (0, "0%") or least == "100%" or (isinstance(least, int) and least >= replicas > 0):
            yield f"{title(budget)}: allows no disruption"


def jobs_end(objects: Sequence[Manifest]) -> Iterator[str]:
    """Jobs have a deadline and a number of attempts; what repeats does not pile up."""
    for made in objects:
        if made["kind"] not in ("Job", "CronJob"):
            continue
        spec = made["spec"] if made["kind"] == "Job" else made["spec"]["jobTemplate"]["spec"]
        if missing := {"activeDeadlineSeconds", "backoffLimit"} - set(spec):
            yield f"{title(made)}: says nothing of {', '.join(sorted(missing))}"
        wanted = {"startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"}
        if made["kind"] == "CronJob" and (
            made["spec"].get("concurrencyPolicy") != "Forbid" or wanted - set(made["spec"])
        ):
            yield f"{title(made)}: can pile up"


def what_repeats_ends_no_task(objects: Sequence[Manifest]) -> Iterator[str]:
    """A look every few minutes waits for room: on a full node it would take a running task's place each time."""
    patient = {
        made["metadata"]["name"]
        for made in _of_kind(objects, "PriorityClass")
        if made.get("preemptionPolicy") == "Never"
    }
    for workload in workloads(objects):
        if workload.owner["kind"] == "CronJob" and workload.pod.get("priorityClassName") not in patient:
            yield f"{workload}: takes the place of a running task"


def one_console_at_a_time(objects: Sequence[Manifest]) -> Iterator[str]:
    """What holds the state folder is one Pod, and the old one has ended before the new one starts."""
    for made in _of_kind(objects, "Deployment"):
        if made["spec"]["replicas"] != 1 or made["spec"].get("strategy") != {"type": "Recreate"}:
            yield f"{title(made)}: two of them could run at once"


def _contexts(workload: Workload) -> Iterator[tuple[str, dict[str, Any]]]:
    yield str(workload), workload.pod.get("securityContext", {})
    for container in workload.containers:
        yield f"{workload}: {container['name']}", container.get("securityContext", {})


def _of_kind(objects: Sequence[Manifest], kind: str) -> list[Manifest]:
    return [made for made in objects if made["kind"] == kind]


POLICIES: tuple[Policy, ...] = (
    nobody_is_root,
    nobody_is_privileged,
    root_file_systems_are_read_only,
    system_calls_are_filtered,
    images_are_fixed,
    resources_are_bounded,
    defaults_refuse_nobody,
    servers_are_probed,
    tokens_are_rare,
    rights_are_the_engine_s,
    everything_is_in_the_namespace,
    silence_is_the_default,
    names_can_be_asked,
    services_stay_inside,
    nodes_can_be_drained,
    jobs_end,
    what_repeats_ends_no_task,
    one_console_at_a_time,
    what_is_named_exists,
)

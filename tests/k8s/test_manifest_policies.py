"""Every supported build keeps every policy, and each policy catches what it is there for."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.k8s import policies
from tests.k8s.manifests import SUPPORTED, Combination, Manifest, build, named, parameters, workloads

LARGEST = Combination("gke", SUPPORTED["gke"])
GONE = object()


@pytest.mark.parametrize("combination", parameters())
def test_a_build_keeps_every_policy(combination: Combination) -> None:
    assert [breach for policy in policies.POLICIES for breach in policy(build(combination))] == []


def pod(kind: str, path: str, value: Any) -> Callable[[list[Manifest]], None]:
    """Changes the Pods of the first object of a kind."""

    def plant(objects: list[Manifest]) -> None:
        workload = next(w for w in workloads(objects) if w.owner["kind"] == kind)
        put(workload.pod, path, value)

    return plant


def made(kind: str, name: str, path: str, value: Any) -> Callable[[list[Manifest]], None]:
    """Changes an object."""
    return lambda objects: put(named(objects, kind, name), path, value)


def put(tree: Any, path: str, value: Any) -> None:
    """Sets what lies at a JSON pointer, or takes it away."""
    *way, last = [int(part) if part.isdigit() else part.replace("~1", "/") for part in path.split("/")]
    for part in way:
        tree = tree[part]
    if value is GONE:
        del tree[last]
    elif isinstance(tree, list) and last == len(tree):
        tree.append(value)
    else:
        tree[last] = value


INSIDE = "containers/0/securityContext"
PLANTED = [
    (policies.nobody_is_root, pod("Deployment", "securityContext/runAsNonRoot", GONE)),
    (policies.nobody_is_root, pod("CronJob", "securityContext/runAsUser", 0)),
    (policies.nobody_is_root, pod("Job", f"{INSIDE}/runAsUser", 0)),
    (policies.nobody_is_privileged, pod("Deployment", f"{INSIDE}/privileged", True)),
    (policies.nobody_is_privileged, pod("CronJob", f"{INSIDE}/allowPrivilegeEscalation", GONE)),
    (policies.nobody_is_privileged, pod("Job", f"{INSIDE}/capabilities/drop", ["NET_RAW"])),
    (policies.nobody_is_privileged, pod("Job", f"{INSIDE}/capabilities/add", ["SYS_ADMIN"])),
    (policies.nobody_is_privileged, pod("Deployment", "hostNetwork", True)),
    (policies.nobody_is_privileged, pod("Deployment", "volumes/0", {"name": "state", "hostPath": {"path": "/"}})),
    (policies.root_file_systems_are_read_only, pod("CronJob", f"{INSIDE}/readOnlyRootFilesystem", False)),
    (policies.system_calls_are_filtered, pod("Deployment", "securityContext/seccompProfile", GONE)),
    (policies.system_calls_are_filtered, pod("Job", f"{INSIDE}/seccompProfile", {"type": "Unconfined"})),
    (policies.images_are_fixed, pod("Deployment", "containers/0/image", "seamline/server:latest")),
    (policies.images_are_fixed, pod("CronJob", "containers/0/image", "seamline/server")),
    (policies.images_are_fixed, pod("Job", "containers/0/image", "localhost:5000/seamline/server")),
    (policies.resources_are_bounded, pod("Job", "containers/0/resources", GONE)),
    (policies.resources_are_bounded, pod("CronJob", "containers/0/resources/limits/memory", GONE)),
    (policies.resources_are_bounded, pod("Deployment", "containers/0/resources/limits/nvidia.com~1gpu", "1")),
    (policies.resources_are_bounded, pod("Deployment", "volumes/2/emptyDir", {})),
    (policies.defaults_refuse_nobody, made("LimitRange", "seamline", "spec/limits/0/default/cpu", "1")),
    (policies.defaults_refuse_nobody, made("LimitRange", "seamline", "spec/limits/0/default/memory", GONE)),
    (policies.defaults_refuse_nobody, made("ResourceQuota", "seamline", "spec/hard/limits.cpu", "64")),
    (policies.servers_are_probed, pod("Deployment", "containers/0/livenessProbe", GONE)),
    (policies.tokens_are_rare, pod("CronJob", "automountServiceAccountToken", True)),
    (policies.tokens_are_rare, pod("Job", "automountServiceAccountToken", GONE)),
    (policies.tokens_are_rare, made("ServiceAccount", "seamline-task", "automountServiceAccountToken", GONE)),
    (policies.rights_are_the_engine_s, made("Role", "seamline-engine", "rules/0/verbs/5", "patch")),
    (policies.rights_are_the_engine_s, made("Role", "seamline-engine", "rules/0/resources/1", "secrets")),
    (policies.rights_are_the_engine_s, made("Role", "seamline-engine", "kind", "ClusterRole")),
    (policies.everything_is_in_the_namespace, made("Job", "seamline-notifier", "metadata/namespace", "default")),
    (policies.silence_is_the_default, made("NetworkPolicy", "default-deny", "spec/policyTypes", ["Ingress"])),
    (policies.silence_is_the_default, made("NetworkPolicy", "console", "spec/ingress/0/from", GONE)),
    (policies.silence_is_the_default, made("NetworkPolicy", "task-out", "spec/egress/0/ports", GONE)),
    *((policies.names_can_be_asked, made("NetworkPolicy", "dns", f"spec/egress/0/to/{n}", GONE)) for n in range(3)),
    *((policies.names_can_be_asked, made("NetworkPolicy", "dns", f"spec/egress/0/ports/{n}", GONE)) for n in range(2)),
    (policies.names_can_be_asked, made("NetworkPolicy", "dns", "spec/podSelector/matchLabels", {"app": "x"})),
    (policies.services_stay_inside, made("Service", "seamline-console", "spec/type", "LoadBalancer")),
    (policies.services_stay_inside, made("BackendConfig", "seamline-console", "spec/iap/enabled", False)),
    (policies.nodes_can_be_drained, made("PodDisruptionBudget", "seamline-console", "spec/minAvailable", 1)),
    (policies.nodes_can_be_drained, made("PodDisruptionBudget", "seamline-console", "spec/maxUnavailable", 0)),
    (policies.jobs_end, made("Job", "seamline-notifier", "spec/activeDeadlineSeconds", GONE)),
    (policies.jobs_end, made("CronJob", "seamline-watcher", "spec/concurrencyPolicy", "Allow")),
    (policies.what_repeats_ends_no_task, pod("CronJob", "priorityClassName", "seamline-server")),
    (policies.what_repeats_ends_no_task, made("PriorityClass", "seamline-watcher", "preemptionPolicy", GONE)),
    (policies.one_console_at_a_time, made("Deployment", "seamline-console", "spec/replicas", 2)),
    (policies.one_console_at_a_time, made("Deployment", "seamline-console", "spec/strategy", GONE)),
    (policies.what_is_named_exists, pod("Deployment", "serviceAccountName", "nobody")),
    (policies.what_is_named_exists, pod("Deployment", "volumes/1/projected/sources/0/secret/name", "forgotten")),
    (policies.what_is_named_exists, pod("CronJob", "volumes/0/persistentVolumeClaim/claimName", "lost")),
    (policies.what_is_named_exists, pod("CronJob", "containers/0/envFrom/0/configMapRef/name", "seamline-settings")),
    (policies.what_is_named_exists, pod("Job", "priorityClassName", "urgent")),
    (policies.what_is_named_exists, made("RoleBinding", "seamline-engine", "subjects/0/name", "nobody")),
    (policies.what_is_named_exists, made("Ingress", "seamline-console", "metadata/annotations", {
        "networking.gke.io/managed-certificates": "other",
    })),
    (policies.what_is_named_exists, made("Service", "seamline-console", "spec/selector", {"app": "console"})),
    (policies.what_is_named_exists, made("NetworkPolicy", "console", "spec/ingress/0/ports/0/port", "web")),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "plant"), PLANTED, ids=[f"{p.__name__}-{n}" for n, (p, _) in enumerate(PLANTED)])
def test_a_policy_catches_a_planted_fault(policy: policies.Policy, plant: Callable[[list[Manifest]], None]) -> None:
    objects = copy.deepcopy(list(build(LARGEST)))
    plant(objects)
    assert len(list(policy(objects))) >= 1


def test_every_policy_has_a_planted_fault() -> None:
    assert {policy for policy, _ in PLANTED} == set(policies.POLICIES)

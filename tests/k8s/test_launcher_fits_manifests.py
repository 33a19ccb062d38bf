"""The engine's launcher and the manifests agree: rights, settings, and the Pods that it makes inside our policies."""

import re
import tomllib
from pathlib import Path

import pytest

from pipeline.engine import cluster_place, pod
from pipeline.engine.launch import Job, Whose
from tests.k8s import policies
from tests.k8s.manifests import ROOT, SUPPORTED, Combination, Manifest, Workload, build, named, workloads

OURS = build(Combination("gke", SUPPORTED["gke"]))
KINDS = {
    "pod": "pods",
    "pod_log": "pods/log",
    "event": "events",
    "persistent_volume_claim": "persistentvolumeclaims",
}
VERBS = {"create": "create", "delete": "delete", "read": "get", "list": "list"}


def place() -> cluster_place.ClusterPlace:
    """The launcher's settings as the console reads them."""
    (text,) = [o["data"]["kubernetes.toml"] for o in OURS if "kubernetes.toml" in o.get("data", {})]
    return cluster_place.parse(tomllib.loads(text))


def console() -> Workload:
    """What runs the engine."""
    (found,) = [workload for workload in workloads(OURS) if workload.owner["kind"] == "Deployment"]
    return found


@pytest.fixture
def task_pod(monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """A Pod of a task, as the launcher makes it in our cluster."""
    monkeypatch.setattr("os.geteuid", lambda: console().pod["securityContext"]["runAsUser"])
    state = Path(place().mount)
    job = Job(["python", "-m", "x"], "seamline/steps-cpu:1", {}, state / "a", whose=Whose("run-1", "train", 1))
    made = pod.manifest(job, place(), state)
    made["metadata"]["namespace"] = policies.NAMESPACE  # in which it is made
    return made


def test_the_role_allows_what_the_launcher_calls_and_nothing_else() -> None:
    source = (ROOT / "pipeline/engine/kubernetes_api.py").read_text(encoding="utf-8")
    called = set(re.findall(r"_core\.(\w+?)_namespaced_(\w+?)\b", source))
    needed = {(VERBS[verb], KINDS[kind]) for verb, kind in called}
    if "watch=True" in source:
        needed.add(("watch", "pods"))
    rules = named(OURS, "Role", "seamline-engine")["rules"]
    assert {(verb, kind) for rule in rules for kind in rule["resources"] for verb in rule["verbs"]} == needed


def test_what_the_launcher_s_settings_name_is_there() -> None:
    assert named(OURS, "PersistentVolumeClaim", place().claim)
    assert named(OURS, "ServiceAccount", place().service_account)
    assert named(OURS, "PriorityClass", place().priority_class)


def test_the_console_sees_the_state_folder_where_tasks_see_it() -> None:
    (mount,) = [m for m in console().containers[0]["volumeMounts"] if m["name"] == "state"]
    assert mount["mountPath"] == place().mount
    assert f"--state={place().mount}" in console().containers[0]["command"]


def test_the_engine_holds_fewer_pods_than_the_quota() -> None:
    assert place().at_once < int(named(OURS, "ResourceQuota", "seamline")["spec"]["hard"]["pods"])


@pytest.mark.parametrize(
    "policy",
    [
        policies.nobody_is_root,
        policies.nobody_is_privileged,
        policies.root_file_systems_are_read_only,
        policies.system_calls_are_filtered,
        policies.images_are_fixed,
        policies.tokens_are_rare,
        policies.everything_is_in_the_namespace,
        policies.what_is_named_exists,
    ],
    ids=lambda policy: policy.__name__,
)
def test_a_task_s_pod_keeps_the_policies(policy: policies.Policy, task_pod: Manifest) -> None:
    assert list(policy([*OURS, task_pod])) == []


def test_a_task_s_pod_may_reach_the_storage(task_pod: Manifest) -> None:
    (wanted,) = named(OURS, "NetworkPolicy", "task-out")["spec"]["podSelector"]["matchExpressions"]
    assert wanted["key"] in task_pod["metadata"]["labels"]


def test_tasks_and_console_are_the_user_of_the_image(task_pod: Manifest) -> None:
    user = console().pod["securityContext"]["runAsUser"]
    assert task_pod["spec"]["securityContext"]["runAsUser"] == user
    assert f"USER {user}:{user}" in (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")

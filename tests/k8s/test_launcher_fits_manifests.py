"""The engine's launcher and the manifests agree: rights, settings, and the Pods that it makes inside our policies."""

import copy
import dataclasses
import functools
import re
from pathlib import Path

import pytest

from components.artifacts import cache
from pipeline import compile as compiler
from pipeline import recipe
from pipeline.engine import cluster_place, ir, irtext, pod
from pipeline.engine.budget import quantity
from pipeline.engine.launch import Job, Whose
from tests.k8s import policies
from tests.k8s.manifests import (
    ROOT,
    SUPPORTED,
    Combination,
    Manifest,
    Workload,
    build,
    launcher_settings,
    named,
    workloads,
)

TASKS = {"exec-train": "1", "exec-preprocess": None}  # of the recipe fashionai, and how many GPUs each asks for
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
    return launcher_settings(OURS)


def console() -> Workload:
    """What runs the engine."""
    (found,) = [workload for workload in workloads(OURS) if workload.owner["kind"] == "Deployment"]
    return found


@functools.cache
def compiled() -> ir.Pipeline:
    """A recipe with GPUs, as the engine reads it."""
    return irtext.read(compiler.compile_recipe(recipe.load("fashionai", ())))


@pytest.fixture(params=TASKS)
def task_pod(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """A Pod of a task of the compiled recipe, as the launcher makes it in our cluster."""
    monkeypatch.setattr("os.geteuid", lambda: console().pod["securityContext"]["runAsUser"])
    container = compiled().executors[request.param]
    around = compiled().root.parameters
    job = Job(
        ["python", "-m", "x"],
        container.image,
        {},
        Path(place().mount) / "a",
        whose=Whose("run-1", request.param, 1),
        container=container,
        parameters={f"pipelinechannel--{name}": parameter.default for name, parameter in around.items()},
    )
    made = pod.manifest(job, place(), Path(place().mount))
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


def test_the_overlay_of_gke_adds_to_the_base_s_settings_that_images_are_pinned() -> None:
    base = launcher_settings(build(Combination("kind")))
    assert not base.pin_images  # there is no registry
    assert place() == dataclasses.replace(base, pin_images=True)


def test_the_console_s_cache_of_the_bucket_fits_into_its_temporary_folder() -> None:
    (folder,) = [volume for volume in console().pod["volumes"] if volume["name"] == "tmp"]
    assert quantity(folder["emptyDir"]["sizeLimit"]) > cache.DEFAULT_MB * 1e6


def test_the_engine_holds_fewer_pods_than_the_quota() -> None:
    assert place().at_once < int(named(OURS, "ResourceQuota", "seamline")["spec"]["hard"]["pods"])


@pytest.mark.parametrize("policy", policies.POLICIES, ids=lambda policy: policy.__name__)
def test_a_task_s_pod_keeps_the_policies(policy: policies.Policy, task_pod: Manifest) -> None:
    assert list(policy([*OURS, task_pod])) == []


def test_a_gpu_task_s_pod_asks_for_as_many_gpus_as_it_may_have(task_pod: Manifest) -> None:
    wanted = TASKS[task_pod["metadata"]["annotations"]["seamline.dev/task"]]
    resources = task_pod["spec"]["containers"][0]["resources"]
    assert [resources[end].get(policies.GPU) for end in ("requests", "limits")] == [wanted, wanted]


def test_a_pod_whose_request_of_gpus_stays_unsaid_would_be_noticed(task_pod: Manifest) -> None:
    silent = copy.deepcopy(task_pod)
    gpus = silent["spec"]["containers"][0]["resources"]["requests"].pop(policies.GPU, None)
    assert len(list(policies.resources_are_bounded([silent]))) == (gpus is not None)


def test_a_task_fits_into_the_quota(task_pod: Manifest) -> None:
    hard = named(OURS, "ResourceQuota", "seamline")["spec"]["hard"]
    resources = task_pod["spec"]["containers"][0]["resources"]
    asked = {f"{end}.{name}": amount for end, amounts in resources.items() for name, amount in amounts.items()}
    assert [name for name in set(asked) & set(hard) if quantity(asked[name]) > quantity(hard[name])] == []


def test_a_task_s_pod_may_reach_the_storage(task_pod: Manifest) -> None:
    (wanted,) = named(OURS, "NetworkPolicy", "task-out")["spec"]["podSelector"]["matchExpressions"]
    assert wanted["key"] in task_pod["metadata"]["labels"]


def test_tasks_and_console_are_the_user_of_the_image(task_pod: Manifest) -> None:
    user = console().pod["securityContext"]["runAsUser"]
    assert task_pod["spec"]["securityContext"]["runAsUser"] == user
    assert f"USER {user}:{user}" in (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")

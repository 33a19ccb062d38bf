"""A Pod asks the cluster for what the compiled pipeline asks Kubeflow for, and shows the task the same command."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import ir, pod
from pipeline.engine.cluster_place import ClusterPlace, parse
from pipeline.engine.launch import Whose
from pipeline.errors import PipelineError

PLACE = ClusterPlace(claim="seamline-state", service_account="seamline-task", user=10001)
GPU_TASK = {
    "resourceCpuLimit": "2",
    "resourceMemoryLimit": "6144Mi",
    "resourceCpuRequest": "2",
    "accelerator": {"resourceType": "{{$.inputs.parameters['pipelinechannel--gpu']}}", "resourceCount": "1"},
}
ON_GPU = {
    "nodeSelector": {"labels": {"cloud.google.com/gke-accelerator": "nvidia-l4"}},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "emptyDirMounts": [{"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "2Gi"}],
    "activeDeadlineSeconds": "7200",
}


def made(launching: Any, place: ClusterPlace = PLACE, **job: Any) -> dict[str, Any]:
    return pod.manifest(launching.job(**job), place, launching.folder)


def test_a_gpu_task_asks_for_the_gpu_its_nodes_and_its_shared_memory(launching: Any) -> None:
    spec = made(launching, resources=GPU_TASK, asks=ON_GPU, parameters={"pipelinechannel--gpu": "nvidia.com/gpu"})[
        "spec"
    ]
    (container,) = spec["containers"]
    assert container["resources"] == {
        "limits": {"cpu": "2", "memory": "6144Mi", "nvidia.com/gpu": "1"},
        "requests": {"cpu": "2", "nvidia.com/gpu": "1"},
    }
    assert spec["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in spec["volumes"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]


def test_arguments_alone_go_to_the_entrypoint_of_the_image(launching: Any) -> None:
    only_arguments = ir.Container("image:1", (), ("--epochs", "3"), {}, {})
    (container,) = made(launching, container=only_arguments, command=["--epochs", "3"])["spec"]["containers"]
    assert container["args"] == ["--epochs", "3"] and "command" not in container


def test_a_task_without_gpu_asks_for_none(launching: Any) -> None:
    spec = made(launching, resources={"cpuLimit": 0.5, "memoryLimit": 2.0})["spec"]
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "0.5", "memory": "2000000000"}}
    assert not {"nodeSelector", "tolerations"} & set(spec)


def test_it_runs_without_any_privilege(launching: Any) -> None:
    spec = made(launching)["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["serviceAccountName"] == "seamline-task"
    assert spec["automountServiceAccountToken"] is False
    own = spec["containers"][0]["securityContext"]
    assert own["readOnlyRootFilesystem"]
    assert not own["allowPrivilegeEscalation"]
    assert own["capabilities"] == {"drop": ["ALL"]}


def tmp(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The volumes mounted at /tmp."""
    names = [m["name"] for m in spec["containers"][0]["volumeMounts"] if m["mountPath"] == "/tmp"]
    return [volume["emptyDir"] for volume in spec["volumes"] if volume["name"] in names]


def test_temporary_files_are_bounded_as_the_settings_say(launching: Any) -> None:
    assert tmp(made(launching)["spec"]) == [{"sizeLimit": "32Gi"}]
    for size, limit in (("1500Mi", {"sizeLimit": "1500Mi"}), ("", {})):
        assert tmp(made(launching, parse({"claim": "c", "user": 1000, "tmp_size": size}))["spec"]) == [limit]


def test_a_task_that_brings_its_own_volume_of_temporary_files_has_that_one_only(launching: Any) -> None:
    asks = {"emptyDirMounts": [{"volumeName": "scratch", "mountPath": "/tmp", "sizeLimit": "200Gi"}]}
    assert tmp(made(launching, asks=asks)["spec"]) == [{"sizeLimit": "200Gi"}]


@pytest.mark.parametrize("size", ["plenty", "0", "-1Gi"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(PipelineError, match=re.escape(repr(size))):
        parse({"claim": "c", "tmp_size": size})


def test_it_is_found_by_run_task_and_attempt(launching: Any) -> None:
    metadata = made(launching, key="for-loop-1(0)/train-2", number=3)["metadata"]
    own = {k.removeprefix("seamline.dev/"): v for k, v in metadata["labels"].items() if k.startswith("seamline.dev/")}
    assert (own["run"], own["task"], own["attempt"]) == ("run", "for-loop-1-0-train-2", "3")
    assert metadata["annotations"]["seamline.dev/task"] == "for-loop-1(0)/train-2"
    assert metadata["name"].startswith("train-2-")
    assert metadata["name"].endswith("-3")


def test_a_priority_class_may_be_one_for_all_and_another_for_gpus(launching: Any) -> None:
    place = parse({"claim": "c", "priority_class": "low", "gpu_priority_class": "high", "user": 1000})
    gpu = {"accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "2"}}
    assert made(launching, place)["spec"]["priorityClassName"] == "low"
    assert made(launching, place, resources=gpu)["spec"]["priorityClassName"] == "high"


def test_secrets_and_maps_that_the_pipeline_names_reach_the_pod(launching: Any) -> None:
    asks = {
        "secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "TOKEN"}]}],
        "configMapAsVolume": [{"configMapNameParameter": {"componentInputParameter": "m"}, "mountPath": "/m"}],
        "nodeSelector": {"nodeSelectorJson": {"componentInputParameter": "where"}},
        "tolerations": [{"tolerationJson": {"runtimeValue": {"constant": [{"operator": "Exists"}]}}}],
        "imagePullSecret": [{"secretName": "registry"}],
        "podMetadata": {"labels": {"team": "vision"}},
    }
    body = made(launching, asks=asks, parameters={"m": "map", "where": {"pool": "gpu"}})
    spec, (container,) = body["spec"], body["spec"]["containers"]
    assert {
        "name": "TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": False}},
    } in container["env"]
    assert {"name": "config-map", "configMap": {"name": "map", "optional": False}} in spec["volumes"]
    assert spec["nodeSelector"] == {"pool": "gpu"}
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert body["metadata"]["labels"]["team"] == "vision"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"asks": {"podAffinity": [{}]}}, "asks for podAffinity of kfp-kubernetes"),
        ({"asks": {"nodeSelector": {"nodeSelectorJson": {"componentInputParameter": "x"}}}}, "x, which is no input"),
        ({"paths": ("/elsewhere/round1",)}, "reads /elsewhere/round1, which is not below"),
    ],
)
def test_what_no_pod_could_do_is_refused_in_a_line(launching: Any, change: dict[str, Any], words: str) -> None:
    with pytest.raises(PipelineError, match=re.escape(words)):
        made(launching, **change)


def test_a_state_folder_that_pods_do_not_see_is_refused(launching: Any) -> None:
    with pytest.raises(PipelineError, match="neither a claim nor host_path"):
        made(launching, ClusterPlace(user=1000))


def test_root_is_refused(launching: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(PipelineError, match="the engine runs as root"):
        made(launching, ClusterPlace(claim="c"))


def as_kubernetes_expands(text: str, variables: dict[str, str]) -> str:
    """The rule of a container's command: $(NAME) is replaced if NAME is set, $$ becomes $."""
    return re.sub(
        r"\$(?:\$|\((\w+)\))",
        lambda m: "$" if m[0] == "$$" else variables.get(m[1], m[0]),
        text,
    )


@given(st.text(alphabet="$()HOMEa {}'\"\\"))
def test_the_command_reaches_the_task_as_it_is_whatever_kubernetes_replaces(word: str) -> None:
    assert as_kubernetes_expands(pod.escaped(word), {"HOME": "/tmp", "a": "b"}) == word


@given(st.text(), st.text(), st.integers(1, 999))
def test_names_and_labels_are_legal_for_every_task(run_id: str, key: str, number: int) -> None:
    name = pod.name_of(Whose(run_id, key, number))
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)
    assert re.fullmatch(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?", pod._label(key))


@given(st.lists(st.tuples(st.sampled_from(["r1", "r2"]), st.sampled_from(["a", "b/a", "a(1)"]), st.integers(1, 3))))
def test_two_attempts_have_the_same_name_only_if_they_are_the_same(whose: list[tuple[str, str, int]]) -> None:
    assert len({pod.name_of(Whose(*one)) for one in whose}) == len(set(whose))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"clam": "x"}, "clam is no setting"),
        ({"at_once": "many"}, "at_once is 'many'; it takes a value of type int"),
        ({"at_once": 0}, "at least 1 Pod"),
        ({"claim": "c", "host_path": True}, "both given"),
        ({"image_pull_policy": "Sometimes"}, "it is one of Always"),
        ({"grace_s": -1}, "cannot be negative"),
    ],
)
def test_settings_that_make_no_sense_are_refused(body: dict[str, Any], words: str) -> None:
    with pytest.raises(PipelineError, match=re.escape(words)):
        parse(body)


def test_settings_come_from_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.engine import cluster_place

    monkeypatch.delenv(cluster_place.VARIABLE, raising=False)
    assert cluster_place.read(tmp_path) == ClusterPlace()
    (tmp_path / "kubernetes.toml").write_text('claim = "c"\nimage_wait_s = 5\n')
    assert cluster_place.read(tmp_path) == ClusterPlace(claim="c", image_wait_s=5.0)
    (tmp_path / "kubernetes.toml").write_text("claim = ")
    with pytest.raises(PipelineError, match="cannot be read as TOML"):
        cluster_place.read(tmp_path)

"""Every way in which a Pod waits or ends has a name, a cause in a line and a fix."""

from typing import Any

import pytest

from pipeline.engine import pod_status
from pipeline.engine.failures import FailureKind
from pipeline.engine.pod_status import Wait


def pod(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    spec = {
        "nodeName": "gpu-1",
        "activeDeadlineSeconds": 60,
        "containers": [{"resources": {"limits": {"memory": "64Mi"}}}],
    }
    return {"metadata": {"name": "train-1", **metadata}, "spec": spec, "status": status}


def unscheduled(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod({"phase": "Pending", "conditions": [condition]})


def held(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod({"phase": "Pending", "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [{"state": state}]})


@pytest.mark.parametrize(
    ("seen", "kind", "words"),
    [
        (pod({"phase": "Pending"}), Wait.ROOM, "waits for the scheduler"),
        (
            unscheduled(
                "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't match node selector."
            ),
            Wait.ROOM,
            "Insufficient nvidia.com/gpu",
        ),
        (
            unscheduled("0/1 nodes are available: 1 node(s) had taint {node.kubernetes.io/not-ready: }, that ..."),
            Wait.ROOM,
            "not-ready",
        ),
        (unscheduled("0/2 nodes are available: 2 node(s) were unschedulable."), Wait.ROOM, "unschedulable"),
        (unscheduled("0/2 nodes are available: 2 node(s) didn't match node selector."), Wait.MISFIT, "node selector"),
        (
            unscheduled("0/1 nodes are available: 1 node(s) had taint {nvidia.com/gpu: present}, that the pod ..."),
            Wait.MISFIT,
            "nvidia.com/gpu: present",
        ),
        (unscheduled('persistentvolumeclaim "state" not found'), Wait.MISFIT, "state"),
        (held("ErrImagePull", "not found"), Wait.IMAGE, "ErrImagePull: not found"),
        (held("ImagePullBackOff"), Wait.IMAGE, "ImagePullBackOff"),
        (held("CreateContainerConfigError", 'secret "s" not found'), Wait.IMAGE, 'secret "s"'),
        (held("ErrImageNeverPull"), Wait.NEVER, "ErrImageNeverPull"),
        (held("InvalidImageName"), Wait.NEVER, "InvalidImageName"),
        (held("ContainerCreating"), Wait.NODE, "gpu-1 prepares it: ContainerCreating"),
    ],
)
def test_what_has_not_begun_waits_for_something_that_has_a_name(seen: dict[str, Any], kind: Wait, words: str) -> None:
    found = pod_status.waiting(seen)
    assert found is not None
    assert found.kind is kind
    assert words in found.text
    assert pod_status.ending(seen) is None


def test_what_runs_neither_waits_nor_has_ended() -> None:
    running = pod({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]})
    assert pod_status.waiting(running) is None
    assert pod_status.ending(running) is None


@pytest.mark.parametrize(
    ("code", "reason", "of_pod", "kind", "words"),
    [
        (137, "OOMKilled", "", FailureKind.OUT_OF_MEMORY, "limit of 64Mi"),
        (3, "OOMKilled", "", FailureKind.OUT_OF_MEMORY, "exit code 3 after one process"),
        (137, "Error", "Evicted", FailureKind.PREEMPTED, "Evicted: low on memory"),
        (143, "Error", "DeadlineExceeded", FailureKind.TIMEOUT, "timed out after 60 s"),
        (137, "Error", "Shutdown", FailureKind.PREEMPTED, "Shutdown"),
        (128, "StartError", "", FailureKind.NOT_STARTED, "cannot be started"),
    ],
)
def test_an_end_that_the_cluster_knows_better_is_named(
    ended: Any, code: int, reason: str, of_pod: str, kind: FailureKind, words: str
) -> None:
    more = {"reason": of_pod, "message": "low on memory"} if of_pod else {}
    found = pod_status.ending(pod(ended(code, reason, "Failed", **more)))
    assert found is not None
    assert found.failure is not None
    assert (found.failure.kind, found.code) == (kind, code)
    assert words in found.failure.cause
    assert found.failure.fix
    assert found.usage == {"wall_s": 5.0}


@pytest.mark.parametrize("code", [1, 2, 137, 143])
def test_any_other_exit_status_is_left_to_the_log(ended: Any, code: int) -> None:
    found = pod_status.ending(pod(ended(code)))
    assert found is not None
    assert (found.code, found.failure) == (code, None)


def test_bad_data_stays_bad_data_even_if_a_helper_process_ran_out_of_memory(ended: Any) -> None:
    found = pod_status.ending(pod(ended(2, "OOMKilled")))
    assert found is not None
    assert found.failure is None


def test_a_pod_that_a_node_refuses_costs_no_retry() -> None:
    found = pod_status.ending(pod({"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough"}))
    assert found is not None
    assert found.code is None
    assert found.failure is not None
    assert found.failure.kind is FailureKind.PREEMPTED


def test_a_deleted_pod_says_who_deleted_it(ended: Any) -> None:
    running = pod({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]})
    by_priority = [("Started", ""), ("Preempted", "Preempted by default/other on node gpu-1"), ("Killing", "Stopping")]
    found = pod_status.deleted(running, by_priority)
    assert found.code is None
    assert found.failure is not None
    assert found.failure.kind is FailureKind.PREEMPTED
    assert "Preempted by default/other" in found.failure.cause
    newer = {"type": "DisruptionTarget", "status": "True", "message": "Eviction API: evicting"}
    found = pod_status.deleted(pod(ended(143, conditions=[newer])), [])
    assert found.failure is not None
    assert "evicting" in found.failure.cause


@pytest.mark.parametrize(
    ("message", "kind", "fix"),
    [
        ('Usage of EmptyDir volume "tmp" exceeds the limit "32Gi". ', FailureKind.DISK_FULL, "raise tmp_size"),
        ('Usage of EmptyDir volume "shm" exceeds the limit "2Gi". ', FailureKind.DISK_FULL, "a volume's size"),
        (
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
            FailureKind.DISK_FULL,
            "ephemeral-storage",
        ),
        (
            "The node was low on resource: ephemeral-storage. Container task was using 12Gi, which exceeds its "
            "request of 0. ",
            FailureKind.PREEMPTED,
            "disk (ephemeral-storage)",
        ),
        ("The node was low on resource: memory. ", FailureKind.PREEMPTED, "memory or disk"),
    ],
)
def test_an_eviction_says_what_was_short_and_whose_limit_it_was(
    ended: Any, message: str, kind: FailureKind, fix: str
) -> None:
    found = pod_status.ending(pod(ended(137, "Error", "Failed", reason="Evicted", message=message)))
    assert found is not None and found.failure is not None
    assert (found.failure.kind, fix in found.failure.fix) == (kind, True)
    assert found.failure.cause.startswith("Evicted: ")


def test_success_that_was_seen_counts_even_if_the_pod_is_deleted_at_once(ended: Any) -> None:
    assert pod_status.deleted(pod(ended(0)), []).code == 0


def test_a_quota_that_has_room_later_is_waited_for_and_one_that_never_has_is_not() -> None:
    text = (
        'pods "a" is forbidden: exceeded quota: team, requested: limits.memory={}, used: limits.memory=6Gi, limited: '
    )
    assert pod_status.refused(text.format("4Gi") + "limits.memory=8Gi") is None
    never = pod_status.refused(text.format("16Gi") + "limits.memory=8Gi")
    assert never is not None
    assert never.kind is FailureKind.NOT_STARTED
    assert "never fits into quota team" in never.cause


def test_what_the_cluster_forbids_is_not_started() -> None:
    failure = pod_status.refused('pods is forbidden: User "console" cannot create resource "pods"')
    assert failure is not None
    assert failure.kind is FailureKind.NOT_STARTED
    assert 'User "console" cannot create' in failure.cause


@pytest.mark.parametrize(
    ("reason", "message", "hopes"),
    [
        ("TriggeredScaleUp", "pod triggered scale-up", True),
        ("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff after failed scale-up", True),
        ("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached", True),
        ("NotTriggerScaleUp", "pod didn't trigger scale-up: 2 node(s) didn't match node selector", False),
        ("FailedScheduling", "no nodes", False),
    ],
)
def test_an_autoscaler_that_makes_a_node_is_waited_for(reason: str, message: str, hopes: bool) -> None:
    assert bool(pod_status.autoscaler_hopes([(reason, message)])) is hopes

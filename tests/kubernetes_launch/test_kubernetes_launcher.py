"""The Kubernetes launcher, told as histories of Pods."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.failures import FailureKind
from pipeline.engine.kubernetes_api import Refused, Unreachable
from pipeline.engine.kubernetes_launch import CONFIRM_S, LOST_S
from pipeline.engine.pod_patience import EXPLAIN_S, REFUSED_S

RUNNING = {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}
NO_NODE = "0/2 nodes are available: 2 node(s) didn't match node selector."
NO_GPU = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't match node selector."


def unscheduled(message: str) -> dict[str, Any]:
    return {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}


def log_of(handle: str) -> bytes:
    return Path(json.loads(handle)["directory"], "log").read_bytes()


def test_a_pod_is_made_only_when_its_start_is_on_record(launching: Any) -> None:
    handle = launching.launcher.start(launching.job())
    assert launching.cluster.created == []
    launching.launcher.release(handle)
    assert len(launching.cluster.created) == 1


def test_a_task_that_succeeds_leaves_its_log_and_no_pod(launching: Any, ended: Any) -> None:
    handle = launching.begin()
    assert launching.launcher.poll(handle) is None
    launching.cluster.logs[launching.name] = b"epoch 1\nepoch 2\n"
    launching.cluster.becomes(launching.name, **RUNNING)
    assert launching.launcher.poll(handle) is None
    launching.cluster.becomes(launching.name, **ended(0))
    found = launching.until_ended(handle)
    assert (found.code, found.failure) == (0, None)
    assert log_of(handle) == b"epoch 1\nepoch 2\n"
    assert [name for name, _ in launching.cluster.deleted] == [launching.name]


def test_of_a_pod_whose_attempt_has_ended_nothing_is_kept(launching: Any, ended: Any) -> None:
    handle = launching.begin()
    launching.cluster.becomes(launching.name, **ended(0))
    launching.until_ended(handle)
    launching.cluster.hear()  # it is being deleted, and still listed
    launching.cluster.removed(launching.name)
    assert launching.cluster.mirrors[-1].get(launching.name) is None


def test_what_the_command_has_noted_of_its_memory_and_cpu_time_counts(launching: Any, ended: Any) -> None:
    handle = launching.begin()
    (container,) = launching.cluster.kept[launching.name]["spec"]["containers"]
    (note,) = [one["value"] for one in container["env"] if one["name"] == "SEAMLINE_USAGE"]
    Path(note).write_text('{"max_rss_bytes": 700000000, "cpu_s": 2.5}')
    launching.cluster.becomes(launching.name, **ended(0))
    used = {"max_rss_bytes": 700000000, "cpu_s": 2.5, "wall_s": 5.0}
    assert launching.until_ended(handle).usage == used
    assert launching.another().poll(handle).usage == used


def test_an_end_is_noted_before_its_pod_is_deleted_so_that_a_crash_in_between_loses_nothing(
    launching: Any, ended: Any
) -> None:
    handle = launching.begin()
    launching.cluster.becomes(launching.name, **ended(0))
    launching.until_ended(handle)
    launching.cluster.removed(launching.name)
    assert launching.another().poll(handle).code == 0


def test_another_engine_adopts_a_pod_and_copies_its_log_once(launching: Any, ended: Any) -> None:
    handle = launching.begin()
    (Path(json.loads(handle)["directory"]) / "log").write_bytes(b"epoch 1\nepo")
    launching.cluster.becomes(launching.name, **RUNNING)
    another = launching.another()
    assert another.poll(handle) is None
    launching.cluster.logs[launching.name] = b"epoch 1\nepoch 2\n"
    launching.cluster.becomes(launching.name, **ended(1))
    assert launching.until_ended(handle).code == 1
    assert log_of(handle) == b"epoch 1\nepoch 2\n"


def test_a_pod_that_an_engine_had_no_time_to_make_is_not_there(launching: Any) -> None:
    handle = launching.launcher.start(launching.job())
    found = launching.another().poll(handle)
    assert found.code is None
    assert found.failure.kind is FailureKind.PREEMPTED


def test_a_cluster_that_is_away_changes_nothing(launching: Any, ended: Any) -> None:
    handle = launching.begin()
    launching.cluster.becomes(launching.name, **RUNNING)
    launching.cluster.is_away = True
    launching.time += 10 * CONFIRM_S
    assert launching.launcher.poll(handle) is None
    launching.cluster.is_away = False
    launching.cluster.becomes(launching.name, **ended(0))
    assert launching.until_ended(handle).code == 0


@pytest.mark.parametrize("code", [401, 403])
def test_a_right_that_is_missing_for_a_moment_changes_nothing(launching: Any, ended: Any, code: int) -> None:
    handle = launching.begin()
    launching.cluster.kept.clear()  # the watch is behind, so the launcher asks
    launching.another()
    launching.cluster.lost_right = Refused(code, "Unauthorized")
    launching.time += 10 * CONFIRM_S
    assert launching.launcher.poll(handle) is None


def test_a_pod_that_cannot_be_made_now_is_made_later(launching: Any) -> None:
    launching.cluster.is_away = True
    handle = launching.begin()
    assert launching.launcher.poll(handle) is None
    assert "cannot be reached" in launching.launcher.waits(handle)
    launching.cluster.is_away = False
    assert launching.launcher.poll(handle) is None
    assert len(launching.cluster.created) == 1


def test_a_quota_that_is_used_up_is_waited_for(launching: Any) -> None:
    text = "exceeded quota: team, requested: pods=1, used: pods=9, limited: pods=9"
    launching.cluster.refuses = Refused(403, text)
    handle = launching.begin()
    assert launching.launcher.poll(handle) is None
    assert "exceeded quota: team" in launching.launcher.waits(handle)
    launching.cluster.refuses = None
    assert launching.launcher.poll(handle) is None
    assert len(launching.cluster.created) == 1


def test_what_the_cluster_forbids_is_not_started(launching: Any) -> None:
    launching.cluster.refuses = Refused(403, 'User "x" cannot create resource "pods"')
    handle = launching.begin()
    assert launching.launcher.poll(handle) is None
    launching.time += REFUSED_S
    found = launching.until_ended(handle)
    assert found.failure.kind is FailureKind.NOT_STARTED


def test_a_pod_that_is_stopped_before_it_could_be_made_never_is(launching: Any) -> None:
    launching.cluster.is_away = True
    handle = launching.begin()
    launching.cluster.is_away = False
    launching.cluster.refuses = Refused(403, "exceeded quota: q, requested: pods=1, used: pods=9, limited: pods=9")
    launching.launcher.signal(handle, kill=False)
    assert launching.until_ended(handle).code == -15
    assert launching.cluster.created == []


def test_no_free_gpu_is_waited_for_and_said(launching: Any) -> None:
    handle = launching.begin()
    launching.cluster.becomes(launching.name, **unscheduled(NO_GPU))
    launching.time += 1e6
    assert launching.launcher.poll(handle) is None
    assert "Insufficient nvidia.com/gpu" in launching.launcher.waits(handle)
    launching.cluster.becomes(launching.name, **RUNNING)
    assert launching.launcher.poll(handle) is None
    assert launching.launcher.waits(handle) == ""


def test_a_selector_that_no_node_has_fails_after_a_while(launching: Any) -> None:
    handle = launching.begin()
    launching.cluster.becomes(launching.name, **unscheduled(NO_NODE))
    assert launching.launcher.poll(handle) is None
    launching.time += launching.place.misfit_wait_s - 1
    assert launching.launcher.poll(handle) is None
    launching.time += 1
    found = launching.until_ended(handle)
    assert found.failure.kind is FailureKind.NOT_STARTED
    assert "didn't match node selector" in found.failure.cause
    assert launching.cluster.deleted


def test_while_the_autoscaler_makes_a_node_it_waits(launching: Any) -> None:
    handle = launching.begin()
    launching.cluster.becomes(launching.name, **unscheduled(NO_NODE))
    launching.cluster.told[launching.name] = [("TriggeredScaleUp", "pod triggered scale-up: gpu-pool 0->1")]
    for _ in range(5):
        assert launching.launcher.poll(handle) is None
        launching.time += launching.place.misfit_wait_s


def test_an_image_that_is_not_there_fails_after_a_while_however_its_reason_is_spelt(launching: Any) -> None:
    handle = launching.begin()
    for step in range(6):
        reason = ("ErrImagePull", "ImagePullBackOff")[step % 2]
        status = {"waiting": {"reason": reason, "message": "steps:9 not found"}}
        launching.cluster.becomes(
            launching.name, startTime="2026-01-01T00:00:00Z", containerStatuses=[{"state": status}]
        )
        assert launching.launcher.poll(handle) is None
        launching.time += launching.place.image_wait_s / 6
    found = launching.until_ended(handle)
    assert found.failure.kind is FailureKind.NOT_STARTED
    assert "steps:9 not found" in found.failure.cause


def test_what_keeps_a_node_from_preparing_it_is_said_and_goes_away_when_it_is_mended(launching: Any) -> None:
    handle = launching.begin()
    held = {"waiting": {"reason": "ContainerCreating"}}
    launching.cluster.becomes(launching.name, startTime="2026-01-01T00:00:00Z", containerStatuses=[{"state": held}])
    elsewhere = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other'
    told = [("FailedScheduling", "0/2 nodes"), ("Scheduled", "on gpu-1"), ("FailedAttachVolume", elsewhere)]
    launching.cluster.told[launching.name] = told
    assert launching.launcher.poll(handle) is None
    assert launching.launcher.waits(handle) == "its node prepares it: ContainerCreating"
    launching.time += EXPLAIN_S
    assert launching.launcher.poll(handle) is None
    assert elsewhere in launching.launcher.waits(handle)
    assert launching.launcher.waits(handle).endswith("so make it ReadWriteMany or use one node")
    told.append(("SuccessfulAttachVolume", "attached"))
    launching.time += EXPLAIN_S
    assert launching.launcher.poll(handle) is None
    assert launching.launcher.waits(handle) == "its node prepares it: ContainerCreating"


ON_GPUS = {"nodeSelector": {"labels": {"cloud.google.com/gke-accelerator": "nvidia-l4"}}}


def warnings(caplog: Any) -> list[str]:
    return [record.getMessage() for record in caplog.records if "on one node at a time" in record.getMessage()]


def test_a_claim_of_one_node_under_tasks_of_two_node_pools_is_warned_of_once(launching: Any, caplog: Any) -> None:
    launching.cluster.claims["state"] = ["ReadWriteOnce"]
    launching.begin(key="ingest")
    launching.begin(key="report")
    assert warnings(caplog) == []
    for number in (1, 2):
        launching.begin(number=number, asks=ON_GPUS)
    (warning,) = warnings(caplog)
    assert warning.startswith("claim state is ReadWriteOnce")
    assert '{"cloud.google.com/gke-accelerator": "nvidia-l4"}' in warning
    assert warning.endswith("make it ReadWriteMany, or let all tasks ask for the same nodes")


@pytest.mark.parametrize("claims", [{"state": ["ReadWriteOnce", "ReadWriteMany"]}, {}])
def test_no_warning_of_a_claim_that_many_nodes_may_mount_or_that_may_not_be_looked_at(
    launching: Any, caplog: Any, claims: dict[str, list[str]]
) -> None:
    launching.cluster.claims = claims
    launching.begin(key="ingest")
    launching.begin(asks=ON_GPUS)
    assert (warnings(caplog), len(launching.cluster.created)) == ([], 2)


def test_a_claim_that_cannot_be_looked_up_now_is_looked_up_with_the_next_pod(
    launching: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(claim: str) -> list[str]:
        raise Unreachable("the cluster cannot be reached")

    launching.cluster.claims["state"] = ["ReadWriteOnce"]
    launching.begin(key="ingest")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(launching.cluster, "access_modes", away)
        launching.begin(asks=ON_GPUS)
    assert (warnings(caplog), len(launching.cluster.created)) == ([], 2)
    launching.begin(key="predict", asks=ON_GPUS)
    assert len(warnings(caplog)) == 1


def test_a_pod_that_somebody_deletes_is_preempted_and_says_by_whom(launching: Any) -> None:
    handle = launching.begin()
    launching.cluster.becomes(launching.name, **RUNNING)
    launching.cluster.told[launching.name] = [("Preempted", "Preempted by team/urgent on node gpu-1")]
    launching.launcher.poll(handle)
    launching.cluster.removed(launching.name)
    found = launching.until_ended(handle)
    assert (found.code, found.failure.kind) == (None, FailureKind.PREEMPTED)
    assert "Preempted by team/urgent" in found.failure.cause


def test_a_pod_that_ended_while_it_was_being_deleted_says_why_it_was(launching: Any, ended: Any) -> None:
    handle = launching.begin()
    launching.cluster.told[launching.name] = [("Preempted", "Preempted by team/urgent on node gpu-1")]
    launching.cluster.kept[launching.name]["metadata"] |= {"deletionTimestamp": "t"}
    launching.cluster.becomes(launching.name, **ended(143))
    found = launching.until_ended(handle)
    assert (found.code, found.failure.kind) == (143, FailureKind.PREEMPTED)
    assert "Preempted by team/urgent" in found.failure.cause


def test_a_watch_that_is_behind_does_not_make_a_new_pod_gone(launching: Any) -> None:
    handle = launching.begin()
    (kept,) = launching.cluster.kept.items()
    launching.cluster.removed(kept[0])  # as a list that is older than the Pod shows it
    launching.cluster.kept = dict([kept])
    launching.time += CONFIRM_S
    assert launching.launcher.poll(handle) is None


def test_a_pod_is_asked_to_end_and_ended_when_it_does_not(launching: Any, ended: Any) -> None:
    handle = launching.begin()
    launching.cluster.becomes(launching.name, **RUNNING)
    launching.launcher.signal(handle, kill=False)
    launching.launcher.signal(handle, kill=False)
    launching.launcher.signal(handle, kill=True)
    launching.launcher.signal(handle, kill=True)
    assert [grace for _, grace in launching.cluster.deleted] == [30, 1]
    launching.cluster.removed(launching.name)
    found = launching.until_ended(handle)
    assert (found.code, found.failure) == (-9, None)


def test_what_a_stopped_task_answered_is_kept(launching: Any, ended: Any) -> None:
    handle = launching.begin()
    launching.launcher.signal(handle, kill=False)
    launching.cluster.becomes(launching.name, **ended(143))
    launching.cluster.removed(launching.name)
    assert launching.until_ended(handle).code == 143


def test_a_node_that_does_not_answer_loses_its_pods(launching: Any) -> None:
    handle = launching.begin()
    launching.cluster.becomes(launching.name, **RUNNING)
    launching.cluster.kept[launching.name]["metadata"] |= {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 30}
    launching.cluster.hear()
    assert launching.launcher.poll(handle) is None
    launching.time += 30 + LOST_S - 1
    assert launching.launcher.poll(handle) is None
    launching.time += 1
    found = launching.launcher.poll(handle)
    assert found.failure.kind is FailureKind.PREEMPTED
    assert "is lost" in found.failure.cause


@pytest.mark.parametrize("number", [1, 2])
def test_each_attempt_has_a_pod_of_its_own(launching: Any, number: int) -> None:
    launching.begin(number=number)
    assert launching.name.endswith(f"-{number}")

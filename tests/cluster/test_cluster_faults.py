"""What can happen to a Pod, done to real Pods on a real cluster: each has its name, and what can go on goes on.

docs/kubernetes-launcher.md shows the table that comes out; `--update-golden` writes it anew.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import kubernetes_launch
from pipeline.engine.states import RunState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
SLEEP = "for i in $(echo 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20); do sleep 10; done"


def one_failure(lab: Any) -> tuple[str, str]:
    (failure,) = lab.failures()
    return failure  # type: ignore[no-any-return]


def named(failure: tuple[str, str]) -> str:
    return f"{failure[0]}: {failure[1]}"


def _simple(shells: Any, script: str = "true") -> str:
    def pipeline() -> None:
        shells.task(script)

    return shells.compiled(pipeline)  # type: ignore[no-any-return]


def again(lab: Any, shells: Any, first: str, place: Callable[[Any], Any] = lambda task: task) -> str:
    """A pipeline of one task that does something in its first attempt, and succeeds in its second."""
    mark = lab.state.parent / "once"

    def pipeline() -> None:
        place(shells.task(shells.ONCE.format(first=first), mark))

    return shells.compiled(pipeline)  # type: ignore[no-any-return]


def test_gpu_tasks_land_on_the_gpu_node_and_queue_for_it_and_cpu_tasks_never_do(
    lab: Any, shells: Any, row: Any
) -> None:
    def pipeline() -> None:
        for i in range(3):
            shells.on_gpu(shells.task("date +%s; sleep 5; date +%s", name=f"gpu{i}"))
        for i in range(2):
            shells.task("sleep 1", name=f"cpu{i}")

    lab.begin(shells.compiled(pipeline))
    assert lab.ended() is RunState.SUCCEEDED
    logs = {task.label: lab.log(task.key) for task in lab.tasks()}
    on_gpu = {label: text for label, text in logs.items() if "GPUs gpu-" in text}
    assert len(logs) == 5 and len(on_gpu) == 3
    assert all("on gpu-node" in text for text in on_gpu.values())
    assert all("on cpu-node, GPUs none" in text for label, text in logs.items() if label not in on_gpu)
    assert all("user 1000" in text for text in logs.values())
    times = sorted(tuple(int(t) for t in re.findall(r"^(\d{9,})$", text, re.M)) for text in on_gpu.values())
    assert times[2][0] >= min(end for _, end in times[:2]), "the third ran beside the other two"
    assert any("Insufficient nvidia.com/gpu" in note for note in lab.notes)
    row("three GPU tasks, two GPUs", "waits: Insufficient nvidia.com/gpu", "SUCCEEDED, two at a time")


def test_a_pod_over_its_memory_limit_is_out_of_memory(lab: Any, shells: Any, row: Any) -> None:
    lab.begin(_simple(shells, "exec tail -c 300000000 /dev/zero"))
    assert lab.ended() is RunState.FAILED
    failure = one_failure(lab)
    assert failure[0] == "out of memory"
    assert "64Mi" in failure[1]
    row("a command needs more than its memory limit", named(failure), "FAILED")


def test_a_pod_that_writes_more_than_it_may_is_evicted_and_told_what_to_raise(lab: Any, shells: Any, row: Any) -> None:
    lab.begin(_simple(shells, f"head -c 50000000 /dev/zero > /tmp/big; {SLEEP}"), tmp_size="1Mi")
    lab.fails(1)
    failure = one_failure(lab)
    assert failure[0] == "disk full"
    assert failure[1].startswith("Evicted: ")
    assert lab.fixes()[0].startswith("raise tmp_size in kubernetes.toml")
    row("it writes more to `/tmp` than `tmp_size`", named(failure), "as with every full disk: repeated three times")


def test_a_pod_that_somebody_deletes_is_made_again(lab: Any, shells: Any, row: Any) -> None:
    lab.begin(again(lab, shells, SLEEP))
    lab.says("shell", "first")
    lab.cluster.kubectl("delete", "pod", "--wait=false", *lab.pods())
    assert lab.ended() is RunState.SUCCEEDED
    assert one_failure(lab)[0] == "preempted"
    assert "again" in lab.log("shell")
    row("`kubectl delete pod`", named(one_failure(lab)), "SUCCEEDED by another attempt")


def test_a_pod_that_gives_way_to_a_higher_priority_comes_back(lab: Any, shells: Any, row: Any) -> None:
    lab.begin(again(lab, shells, SLEEP, lambda t: shells.on_gpu(t, 2)), priority_class="seamline-test-low")
    lab.says("shell", "first")
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    container = {"name": "c", "image": shells.IMAGE, "imagePullPolicy": "Never", "command": ["sleep", "5"]} | limits
    spec = {
        "priorityClassName": "seamline-test-high",
        "restartPolicy": "Never",
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
    lab.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "urgent"}, "spec": spec})
    assert lab.ended() is RunState.SUCCEEDED
    failure = one_failure(lab)
    assert failure[0] == "preempted"
    assert "Preempted by" in failure[1]
    row(
        "a Pod of higher priority needs its GPU",
        re.sub(r"by \S+/urgent", "by another", named(failure)),
        "SUCCEEDED by another attempt, once there is room",
    )


def test_a_drained_node_ends_its_pods_and_they_wait_for_another(lab: Any, shells: Any, row: Any, until: Any) -> None:
    lab.begin(again(lab, shells, SLEEP, shells.on_gpu))
    lab.says("shell", "first")
    lab.cluster.kubectl("drain", "gpu-node", "--force", "--delete-emptydir-data", "--ignore-daemonsets")
    try:
        until(lambda: any("unschedulable" in note for note in lab.notes), "the task says what it waits for")
    finally:
        lab.cluster.kubectl("uncordon", "gpu-node")
    assert lab.ended() is RunState.SUCCEEDED
    assert one_failure(lab)[0] == "preempted"
    row(
        "`kubectl drain` of its node",
        named(one_failure(lab)),
        "SUCCEEDED by another attempt; waits until a node is there",
    )


def test_an_image_that_is_nowhere_is_named(lab: Any, shells: Any, row: Any) -> None:
    def pipeline() -> None:
        shells.absent()

    lab.begin(shells.compiled(pipeline), image_wait_s=5.0)
    assert lab.ended() is RunState.FAILED
    failure = one_failure(lab)
    assert failure[0] == "not started"
    assert "seamline-test/absent:1" in failure[1]
    row(
        "its image cannot be pulled", f"{failure[0]}: ErrImagePull or ImagePullBackOff …", "FAILED after `image_wait_s`"
    )


def test_an_image_that_must_be_on_the_node_fails_at_once(lab: Any, shells: Any, row: Any) -> None:
    def pipeline() -> None:
        shells.absent()

    lab.begin(shells.compiled(pipeline), image_pull_policy="Never")
    assert lab.ended() is RunState.FAILED
    assert one_failure(lab)[0] == "not started"
    row("its image is not on the node, and may not be pulled", named(one_failure(lab)), "FAILED at once")


def test_a_selector_that_no_node_has_is_named(lab: Any, shells: Any, row: Any) -> None:
    from kfp import kubernetes

    def pipeline() -> None:
        kubernetes.add_node_selector(shells.task("true"), "pool", "nowhere")

    lab.begin(shells.compiled(pipeline), misfit_wait_s=3.0)
    assert lab.ended() is RunState.FAILED
    failure = one_failure(lab)
    assert failure[0] == "not started"
    assert "didn't match" in failure[1]
    row(
        "no node has what it asks for", named(failure), "FAILED after `misfit_wait_s`, unless the autoscaler is at work"
    )


def test_a_command_that_is_not_in_the_image_is_named(lab: Any, shells: Any, row: Any) -> None:
    from kfp import dsl

    @dsl.container_component
    def missing(out: dsl.OutputPath(str)):  # type: ignore[valid-type, no-untyped-def]
        return dsl.ContainerSpec(image=shells.IMAGE, command=["no-such-program"], args=[out])

    def pipeline() -> None:
        missing()

    lab.begin(shells.compiled(pipeline))
    assert lab.ended() is RunState.FAILED
    failure = one_failure(lab)
    assert failure[0] == "not started"
    assert "no-such-program" in failure[1]
    row("its image lacks the program", f"{failure[0]}: its command cannot be started …", "FAILED")


def test_a_quota_is_waited_for(lab: Any, shells: Any, row: Any, until: Any) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "1"}}}
    spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": shells.IMAGE, "command": ["sleep", "600"]}]}
    lab.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "taken"}, "spec": spec}, quota)
    until(lambda: "pods: 1/1" in lab.cluster.kubectl("get", "quota", "full"), "the quota counts")
    try:
        lab.begin(_simple(shells))
        until(lambda: any("exceeded quota: full" in note for note in lab.notes), "the task says what it waits for")
    finally:
        lab.cluster.kubectl("delete", "quota/full")
        lab.cluster.kubectl("delete", "pod/taken", "--wait=false", "--grace-period=1")
    assert lab.ended() is RunState.SUCCEEDED
    row("the namespace's quota is used up", "waits: exceeded quota", "SUCCEEDED, once there is room")


def test_a_task_that_takes_too_long_is_ended_by_its_node(lab: Any, shells: Any, row: Any) -> None:
    from kfp import kubernetes

    def pipeline() -> None:
        kubernetes.set_timeout(shells.task(SLEEP), 4)

    lab.begin(shells.compiled(pipeline))
    assert lab.ended() is RunState.FAILED
    assert one_failure(lab)[0] == "timeout"
    row(
        "a task runs longer than its limit",
        named(one_failure(lab)),
        "FAILED, or another attempt where `set_retry` says so",
    )


def test_a_run_that_is_stopped_leaves_no_pod(lab: Any, shells: Any, row: Any, until: Any) -> None:
    lab.begin(_simple(shells, "trap 'echo asked; exit 3' TERM; while true; do sleep 1; done"))
    lab.says("shell", "on cpu-node")
    lab.stop_once()
    assert lab.ended() is RunState.CANCELED
    until(lambda: not lab.pods(), "the Pod is gone")
    row("the run is stopped", "SIGTERM, after the grace time SIGKILL; the Pod is gone", "CANCELED")


@pytest.fixture
def ours(cluster: Any) -> Any:
    if cluster.home is None:
        pytest.skip("not run: needs a cluster that tests/cluster/up.sh has started, to kill parts of it")
    return cluster


@pytest.mark.parametrize(
    ("daemon", "what"), [("kubelet-cpu-node", "its node's kubelet"), ("apiserver", "the API server")]
)
def test_a_daemon_that_is_killed_and_starts_again_costs_nothing(
    lab: Any, ours: Any, shells: Any, row: Any, daemon: str, what: str
) -> None:
    lab.begin(_simple(shells, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; sleep 1; done"))
    lab.says("shell", "line 2")
    ours.restart(daemon, signal.SIGKILL)
    assert lab.ended() is RunState.SUCCEEDED
    assert lab.failures() == []
    assert re.findall(r"line (\d+)", lab.log("shell")) == [str(i) for i in range(1, 13)]
    row(f"`kill -9` of {what}, which starts again", "runs on; no line of the log is lost or doubled", "SUCCEEDED")


def test_a_node_that_does_not_answer_loses_its_task_to_another_attempt(
    lab: Any, ours: Any, shells: Any, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_launch, "LOST_S", 5.0)
    monkeypatch.setattr(kubernetes_launch, "DRAIN_S", 5.0)
    lab.begin(again(lab, shells, SLEEP))
    lab.says("shell", "first")
    kubelet = ours.pid("kubelet-cpu-node")
    os.kill(kubelet, signal.SIGSTOP)
    try:
        lab.fails(1)
    finally:
        os.kill(kubelet, signal.SIGCONT)
    assert lab.ended() is RunState.SUCCEEDED
    assert one_failure(lab)[0] == "preempted"
    row(
        "its node does not answer any more",
        named(one_failure(lab)),
        "SUCCEEDED by another attempt, elsewhere or once it is back",
    )


def test_an_engine_that_is_killed_is_followed_by_one_that_adopts_its_pods(
    lab: Any, shells: Any, row: Any, until: Any
) -> None:
    text = _simple(shells, "for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; sleep 1; done")
    ir = lab.state.parent / "pipeline.yaml"
    ir.write_text(text)
    driver = Path(__file__).with_name("engine_driver.py")
    settings = json.dumps(
        {
            "namespace": lab.cluster.namespace,
            "claim": "state",
            "mount": str(lab.cluster.shared),
            "user": 1000,
            "grace_s": 2.0,
        }
    )
    first = subprocess.Popen([sys.executable, driver, lab.state, ir, settings], start_new_session=True)
    until(lambda: (lab.state.parent / "run_id").exists(), "the run is made")
    lab.run_id = (lab.state.parent / "run_id").read_text()
    lab.says("shell", "line 3")
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(2)
    done = subprocess.run([sys.executable, driver, lab.state, ir, settings, lab.run_id], check=False, timeout=200)
    assert done.returncode == 0
    assert lab.failures() == []
    assert re.findall(r"line (\d+)", lab.log("shell")) == [str(i) for i in range(1, 11)]
    assert not lab.pods()
    row("`kill -9` of the engine, and another one", "adopted; no line of the log is lost or doubled", "SUCCEEDED")

"""`kubectl apply -k` puts console, engine and watcher into a real cluster; they work with the rights that are shipped.

The overlay is `kind`, with what Kubernetes 1.20 calls otherwise (overlay/kustomization.yaml). What the cluster lacks is
made here: a volume, which kind's own provisioner would make, and the images on the node (load.sh).
"""

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from components import images
from pipeline.datasets import demo
from tests.cluster.cluster import Cluster, missing, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
NAMESPACE = "seamline"
TOKEN = "ThisTokenIsOnlyOfTheTests"
CONSOLE = "deployment/seamline-console"
STATE = "/var/lib/seamline"
RECIPE = """
name = "small"
seed = 1
[attributes.skirt_length_labels]
[models.plain_cnn.train]
backbone = "tiny_cnn"
[preprocess]
size_px = 32
views = ["plain"]
encoding = "raw"
[train]
weights = "none"
frozen_epochs = 0
batch_size = 16
views = ["plain"]
precision = "off"
threads = 1
[round1]
epochs = 1
[generations]
round2 = false
pseudo = false
[placement.cpu]
ingest = 1
preprocess = 1
train = 1
predict = 1
[placement.memory_gb]
ingest = 1
preprocess = 1
train = 2
predict = 2
ensemble = 1
report = 1
"""


@dataclass(frozen=True)
class Installed:
    """What was applied, and the folder behind its claim."""

    cluster: Cluster
    folder: Path

    def kubectl(self, *words: str, **more: Any) -> str:
        return self.cluster.kubectl(*words, **more)

    def objects(self, *words: str) -> list[dict[str, Any]]:
        """What `kubectl get` finds."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", *words, "-o", "json"))["items"]
        return found

    def seamline(self, *words: str) -> str:
        """The command line, in the console's Pod."""
        return self.kubectl("exec", CONSOLE, "--", "seamline", *words)

    def ask(self, path: str) -> dict[str, Any]:
        """The console's answer to whoever has the token."""
        with self.port() as address:
            status, body = ask(f"{address}/{path}", TOKEN)
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer

    @contextmanager
    def port(self) -> Iterator[str]:
        """The console as somebody outside reaches it: docs/operations.md."""
        words = ["--namespace", NAMESPACE, "port-forward", "service/seamline-console", ":80"]
        command = [str(Path(sys.executable).with_name("kubectl")), "--kubeconfig", str(self.cluster.kubeconfig), *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
            try:
                assert forward.stdout is not None
                said = re.match(r"Forwarding from (127\.0\.0\.1:\d+)", forward.stdout.readline())
                assert said
                yield f"http://{said[1]}"
            finally:
                forward.terminate()


def ask(address: str, token: str = "") -> tuple[int, str]:
    """Status and body."""
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Installed]:
    """The overlay in the namespace that it names, ready by its own probes; everything of it is removed again."""
    there = replace(cluster, namespace=NAMESPACE)
    if there.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"):
        pytest.skip(f"NOT RUN, no claim about the overlay is made: this cluster has a namespace {NAMESPACE} already")
    if lacking := missing(there, {images.SERVER, images.CPU}):
        pytest.skip(f"NOT RUN, no claim about the overlay is made: no node has {', '.join(sorted(lacking))}")
    folder = there.shared / "installed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o777)
    try:
        _apply(there, folder)
        yield Installed(there, folder)
    finally:
        there.kubectl("delete", "priorityclass", "-l", f"app.kubernetes.io/part-of={NAMESPACE}")
        there.kubectl("delete", f"namespace/{NAMESPACE}", "persistentvolume/seamline-state", "--ignore-not-found")


def _apply(there: Cluster, folder: Path) -> None:
    """As docs/operations.md says."""
    volume = {
        "capacity": {"storage": "50Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": str(folder)},
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": NAMESPACE, "name": "seamline-state"},
    }
    there.apply(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "seamline-state"}, "spec": volume}
    )
    there.kubectl("apply", "-f", str(ROOT / "k8s/base/namespace.yaml"))
    there.kubectl("create", "secret", "generic", "seamline-token", f"--from-literal=token={TOKEN}")
    kubectl = [Path(sys.executable).with_name("kubectl"), "--kubeconfig", there.kubeconfig]
    subprocess.run([*kubectl, "apply", "-k", Path(__file__).with_name("overlay")], check=True)
    there.kubectl(
        "patch", "cronjob", "seamline-watcher", "-p", '{"spec": {"suspend": true}}'
    )  # it looks when a test asks
    there.kubectl("rollout", "status", CONSOLE, "--timeout=300s")


@pytest.fixture(scope="module")
def rounds(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A round that has landed in the volume, and the recipe beside it."""
    drawn = demo.draw(tmp_path_factory.mktemp("drawn") / "data", seed=3, images=60, attributes=["skirt_length_labels"])
    shutil.copytree(drawn.folder / "base", installed.folder / "rounds" / "round1")
    (installed.folder / "rounds" / "round1" / "_SUCCESS").touch()
    (installed.folder / "small.toml").write_text(RECIPE, encoding="utf-8")
    return f"{STATE}/rounds"


def test_the_console_is_ready_and_asks_for_the_token(installed: Installed) -> None:
    (pod,) = installed.objects("pods", "-l", "app.kubernetes.io/name=seamline-console")
    assert pod["spec"]["serviceAccountName"] == "seamline-console"
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    with installed.port() as address:
        assert ask(f"{address}/readyz")[0] == 200
        assert ask(f"{address}/apis/v2beta1/runs")[0] == 401
        assert ask(f"{address}/apis/v2beta1/runs", TOKEN) == (200, "{}")


def test_the_service_leads_to_the_console(installed: Installed) -> None:
    (pod,) = installed.objects("pods", "-l", "app.kubernetes.io/name=seamline-console")
    found = json.loads(installed.kubectl("get", "endpoints", "seamline-console", "-o", "json"))
    (subset,) = found["subsets"]
    assert [address["ip"] for address in subset["addresses"]] == [pod["status"]["podIP"]]
    assert [port["port"] for port in subset["ports"]] == [8080]


def test_a_run_is_pods_of_the_tasks_account_and_survives_the_console(installed: Installed, rounds: str) -> None:
    where = ["--data", rounds, "--set", f"data_root={STATE}/data", "--state", "/tmp/submit"]
    how = ["--host", "http://127.0.0.1:8080", "--token-file", "/etc/seamline/token", "--json"]
    run_id = json.loads(installed.seamline("submit", f"{STATE}/small.toml", *where, *how))["run_id"]
    until(lambda: runs(installed, run_id), "the first task runs")
    installed.kubectl("delete", "pod", "-l", "app.kubernetes.io/name=seamline-console")
    installed.kubectl("rollout", "status", CONSOLE, "--timeout=300s")
    assert ended(installed, run_id) == "SUCCEEDED"
    tasks = [task for task in installed.ask(f"seamline/v1/runs/{run_id}/tasks")["tasks"] if task["kind"] == "task"]
    assert {(task["state"], task["attempts"]) for task in tasks} == {("SUCCEEDED", 1)}
    pods = [json.loads(file.read_text()) for file in (installed.folder / "runs").rglob("pod.json")]
    assert {pod["metadata"]["labels"]["seamline.dev/run"] for pod in pods} == {run_id}
    assert {pod["spec"]["serviceAccountName"] for pod in pods} == {"seamline-task"}
    assert len(pods) == len(tasks) > 5
    assert not installed.objects("pods", "-l", f"seamline.dev/run={run_id}")
    (train,) = [task["key"] for task in tasks if task["key"].rpartition("/")[2] == "train"]
    assert "epoch" in installed.ask(f"seamline/v1/runs/{run_id}/log?key={quote(train, safe='')}")["text"]


def test_a_look_of_the_watcher_waits_for_room_and_orders_a_run_that_the_console_carries_out(
    installed: Installed, rounds: str
) -> None:
    with full_node(installed) as filler:
        installed.kubectl("create", "job", "look", "--from=cronjob/seamline-watcher")
        look = until(lambda: unschedulable(installed, "look"), "the look waits")
        assert "nominatedNodeName" not in look["status"], "it takes a running task's place"
        assert "deletionTimestamp" not in filler()["metadata"]
    installed.kubectl("wait", "job/look", "--for=condition=complete", "--timeout=150s")
    launched = re.search(r"round1 +launched .*run ([0-9a-f]{8})", installed.kubectl("logs", "job/look"))
    assert launched
    (run_id,) = [
        run["run_id"] for run in installed.ask("apis/v2beta1/runs")["runs"] if run["run_id"][:8] == launched[1]
    ]
    assert ended(installed, run_id) == "SUCCEEDED"


@contextmanager
def full_node(installed: Installed) -> Iterator[Callable[[], dict[str, Any]]]:
    """Fills the node of the console up with a Pod of the tasks' priority; yields how to look at it."""
    free = float(installed.kubectl("get", "node", "cpu-node", "-o", "jsonpath={.status.allocatable.cpu}")) - 0.6
    container = {"name": "c", "image": "seamline-test/shell:1", "command": ["sleep", "600"]}
    container["resources"] = {"requests": {"cpu": f"{free:g}", "memory": "16Mi"}, "limits": {"memory": "16Mi"}}
    spec = {"priorityClassName": "seamline-task", "restartPolicy": "Never", "containers": [container]}
    installed.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "filler"}, "spec": spec})

    def look() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(installed.kubectl("get", "pod", "filler", "-o", "json"))
        return found

    try:
        until(lambda: look()["status"]["phase"] == "Running", "the node is full")
        yield look
    finally:
        installed.kubectl("delete", "pod", "filler", "--grace-period=0", "--force", "--ignore-not-found")


def unschedulable(installed: Installed, job: str) -> dict[str, Any] | None:
    """The Pod of a job, once the scheduler has found no room for it."""
    pods = installed.objects("pods", "-l", f"job-name={job}")
    return next(
        (p for p in pods for c in p["status"].get("conditions", ()) if c.get("reason") == "Unschedulable"), None
    )


def runs(installed: Installed, run_id: str) -> bool:
    """Whether a Pod of the run runs."""
    found = installed.objects("pods", "-l", f"seamline.dev/run={run_id}")
    return any(pod["status"]["phase"] == "Running" for pod in found)


def ended(installed: Installed, run_id: str) -> str:
    """The state in which a run ends."""

    def state() -> str:
        found: str = installed.ask(f"apis/v2beta1/runs/{run_id}")["state"]
        return found if found in ("SUCCEEDED", "FAILED", "CANCELED") else ""

    return str(until(state, f"run {run_id} ends", 600))

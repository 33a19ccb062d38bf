"""A real cluster for tests: one that is built and started here, or the one of a kubeconfig.

    SEAMLINE_CLUSTER=1 pytest tests/cluster -m slow -n 0              builds and starts one; root, Debian 12, minutes
    SEAMLINE_KUBECONFIG=FILE pytest tests/cluster -m slow -n 0        takes one that up.sh has started

Any other cluster will do for what needs no hand on its nodes, if its nodes see the folder SEAMLINE_CLUSTER_SHARED.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.engine.budget import Budget
from pipeline.engine.cluster_place import ClusterPlace
from pipeline.engine.kubernetes_api import connect
from pipeline.engine.kubernetes_launch import KubernetesLauncher
from pipeline.engine.records import Event, Task
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace

HERE = Path(__file__).parent
USER = 1000
PATIENCE_S = 150.0
NOT_RUN = "not run: no cluster; SEAMLINE_CLUSTER=1 builds one (root, Debian 12), SEAMLINE_KUBECONFIG names one"


@dataclass(frozen=True)
class Cluster:
    """A cluster and a folder that its nodes and this machine share.

    Attributes:
        kubeconfig: file.
        shared: the folder.
        home: what up.sh has written, None for a cluster of somebody else.
        namespace: of this session.
    """

    kubeconfig: Path
    shared: Path
    home: Path | None
    namespace: str = f"seamline-{os.getpid()}"

    def kubectl(self, *words: str, text: str = "", check: bool = True) -> str:
        """Runs kubectl and returns what it says."""
        binary = _bin() / "kubectl"
        command = [str(binary) if binary.exists() else "kubectl", "--kubeconfig", str(self.kubeconfig)]
        command += ["--namespace", self.namespace, *words]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def apply(self, *objects: dict[str, Any]) -> None:
        """Makes objects."""
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(objects))

    def restart(self, name: str, number: int) -> None:
        """Ends a part of the cluster by a signal and starts it again after a while, as its supervisor would."""
        assert self.home is not None
        pid = self.pid(name)
        words = [os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]]
        with open(f"/proc/{pid}/ns/mnt", "rb") as namespace, (self.home / "log" / name).open("ab") as log:
            os.kill(pid, number)
            time.sleep(5)
            entered = ["nsenter", f"--mount=/proc/self/fd/{namespace.fileno()}", str(_bin() / words[0]), *words[1:]]
            child = subprocess.Popen(
                entered, stdout=log, stderr=log, start_new_session=True, pass_fds=[namespace.fileno()]
            )
        with (self.home / "pids").open("a") as pids:
            pids.write(f"{child.pid} {name}\n")

    def pid(self, name: str) -> int:
        """The process of a part of the cluster: `kubelet-gpu-node`, `apiserver`."""
        assert self.home is not None
        lines = (self.home / "pids").read_text().splitlines()
        return int(next(line.split()[0] for line in reversed(lines) if line.split()[1] == name))


def _bin() -> Path:
    """Where build.sh leaves the programs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seamline-cluster"
    return Path(os.environ.get("SEAMLINE_CLUSTER_CACHE") or cache) / "bin"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    given = os.environ.get("SEAMLINE_KUBECONFIG", "")
    if given:
        home = Path(given).parent
        found = Cluster(Path(given), _shared(tmp_path_factory), home if (home / "pids").exists() else None)
        yield from _with_namespace(found)
        return
    if not os.environ.get("SEAMLINE_CLUSTER"):
        pytest.skip(NOT_RUN)
    home = tmp_path_factory.mktemp("cluster") / "up"
    subprocess.run([HERE / "build.sh"], check=True)
    subprocess.run([HERE / "up.sh", home], check=True)
    try:
        yield from _with_namespace(Cluster(home / "kubeconfig", _shared(tmp_path_factory), home))
    finally:
        subprocess.run([HERE / "down.sh", home], check=False)


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("SEAMLINE_CLUSTER_SHARED")
    return Path(given) if given else tmp_path_factory.mktemp("shared")


def _with_namespace(found: Cluster) -> Iterator[Cluster]:
    """A cluster with a namespace for this session, which is removed again."""
    name = found.namespace
    found.kubectl("create", "namespace", name)
    try:
        _prepare(found, name)
        yield found
    finally:
        found.kubectl("delete", f"namespace/{name}", f"persistentvolume/{name}", "--wait=false")


def _prepare(found: Cluster, name: str) -> None:
    """Makes the state folders' volume, its claim, and two classes of priority."""
    found.shared.chmod(0o777)
    size = {"storage": "1Gi"}
    binding = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeMode": "Filesystem"}
    volume = {"capacity": size, "hostPath": {"path": str(found.shared)}, "persistentVolumeReclaimPolicy": "Retain"}
    claimed = {"claimRef": {"namespace": name, "name": "state"}}
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    found.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": volume | claimed | binding,
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "state"},
            "spec": {"resources": {"requests": size}, "volumeName": name} | binding,
        },
        priority | {"metadata": {"name": "seamline-test-low"}, "value": 10},
        priority | {"metadata": {"name": "seamline-test-high"}, "value": 1000},
    )
    until(lambda: "Bound" in found.kubectl("get", "pvc", "state"), "the claim is bound")
    until(lambda: found.kubectl("get", "serviceaccount", "default", check=False) != "", "the account exists")


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Waits for something to become true, and says what did not."""
    give_up = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < give_up, f"waited {patience_s:g} s in vain: {what}"
        time.sleep(0.2)
    return found


class Lab:
    """An engine that runs pipelines in the cluster; the run is executed in a thread of its own."""

    def __init__(self, cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        folder.mkdir()
        folder.chmod(0o777)
        self.cluster = cluster
        self.state = folder / "state"
        self.place = ClusterPlace(cluster.namespace, claim="state", mount=str(cluster.shared), user=USER, grace_s=2.0)
        self.notes: list[str] = []
        self.run_id = ""
        self._thread: threading.Thread | None = None
        self._engine: Engine | None = None

    def begin(self, ir_text: str, **place: Any) -> str:
        """Starts a run; its id."""
        self.place = replace(self.place, **place)
        made = threading.Event()
        self._thread = threading.Thread(target=self._execute, args=(ir_text, made), daemon=True)
        self._thread.start()
        assert made.wait(30)
        return self.run_id

    def _execute(self, ir_text: str, made: threading.Event) -> None:
        store = Store.open(self.state)
        self.state.chmod(0o777)
        launcher = KubernetesLauncher(lambda: connect(self.place), self.place, self.state)
        pace = Pace(0.2, self.place.grace_s)
        self._engine = Engine(store, launcher, budget=Budget.of_cluster(50), pace=pace, on_event=self._hear)
        self.run_id = self._engine.create_run(ir_text, {})
        made.set()
        self._engine.execute(self.run_id)
        store.close()

    def _hear(self, event: Event) -> None:
        if event.kind == "note" and event.detail["note"]:
            self.notes.append(event.detail["note"])

    def tasks(self) -> list[Task]:
        reader = Store.open(self.state, read_only=True)
        try:
            return [task for task in reader.tasks(self.run_id) if task.is_leaf]
        finally:
            reader.close()

    def ended(self, patience_s: float = PATIENCE_S) -> RunState:
        """Waits for the end of the run."""
        assert self._thread is not None
        self._thread.join(patience_s)
        reader = Store.open(self.state, read_only=True)
        try:
            return reader.run(self.run_id).state
        finally:
            reader.close()

    def fails(self, count: int) -> None:
        """Waits until so many attempts have failed."""
        until(lambda: len(self.failures()) >= count, f"{count} failed attempts")

    def stop_once(self) -> None:
        """Asks the run to stop."""
        assert self._engine is not None
        self._engine.stop()

    def stop(self) -> None:
        """Stops the run at once."""
        if self._engine and self._thread and self._thread.is_alive():
            self._engine.stop()
            self._engine.stop()
            self._thread.join(30)

    def failures(self) -> list[tuple[str, str]]:
        """Class and cause of each failed attempt, in order."""
        reader = Store.open(self.state, read_only=True)
        try:
            found = [a for t in self.tasks() for a in reader.attempts(self.run_id, t.key) if a.failure]
            return [(str(a.failure.kind), a.failure.cause) for a in found if a.failure]
        finally:
            reader.close()

    def log(self, label: str, attempt: int = 0) -> str:
        reader = Store.open(self.state, read_only=True)
        try:
            return reader.log_path(self.run_id, reader.task(self.run_id, label).key, attempt).read_text()
        finally:
            reader.close()

    def pods(self) -> list[str]:
        """Names of the run's Pods that exist."""
        listed = self.cluster.kubectl("get", "pods", "-l", f"seamline.dev/run={self.run_id}", "-o", "name")
        return [line.removeprefix("pod/") for line in listed.splitlines()]

    def says(self, label: str, text: str) -> None:
        """Waits until a task's log says something."""

        def said() -> bool:
            try:
                return text in self.log(label)
            except Exception:
                return False

        until(said, f"{label} says {text!r}")


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    return until


@pytest.fixture
def shells() -> Any:
    """Pipelines of shell commands; kfp takes seconds to load."""
    import importlib.util

    found = importlib.util.spec_from_file_location("shell_pipelines", HERE / "shell_pipelines.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def lab(cluster: Cluster, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    made = Lab(cluster, cluster.shared / request.node.name.replace("[", "-").replace("]", ""), monkeypatch)
    yield made
    made.stop()

"""An engine over the real cluster, with the rights that k8s/base ships, and short ways to say what happens."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.budget import Budget
from pipeline.engine.cluster_place import ClusterPlace
from pipeline.engine.failures import Failure
from pipeline.engine.kubernetes_api import connect
from pipeline.engine.kubernetes_launch import KubernetesLauncher
from pipeline.engine.records import Event, Task
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace
from tests.cluster.cluster import PATIENCE_S, Cluster, until

USER = 1000


class Lab:
    """An engine that runs pipelines in the cluster; the run is executed in a thread of its own."""

    def __init__(self, cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", str(cluster.engine))
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
        return [(str(failure.kind), failure.cause) for failure in self._failed()]

    def fixes(self) -> list[str]:
        """What each failed attempt is told to mend it."""
        return [failure.fix for failure in self._failed()]

    def _failed(self) -> list[Failure]:
        reader = Store.open(self.state, read_only=True)
        try:
            return [a.failure for t in self.tasks() for a in reader.attempts(self.run_id, t.key) if a.failure]
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

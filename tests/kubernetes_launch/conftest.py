"""A cluster in memory: what a test says happens to Pods, and an API server that can be away."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import ir
from pipeline.engine.cluster_place import ClusterPlace
from pipeline.engine.kubernetes_api import Refused, Unreachable
from pipeline.engine.kubernetes_launch import KubernetesLauncher
from pipeline.engine.launch import Job, Whose
from pipeline.engine.pod_log import LogCopy
from pipeline.engine.pod_watch import PodMirror

Json = dict[str, Any]


class FakeStream(list[bytes]):
    """Pieces that are all there."""

    def stop(self) -> None:
        return


class FakeCluster:
    """Keeps Pods as the API server would; a test moves them on."""

    def __init__(self) -> None:
        self.kept: dict[str, Json] = {}
        self.created: list[str] = []
        self.deleted: list[tuple[str, int]] = []
        self.logs: dict[str, bytes] = {}
        self.told: dict[str, list[tuple[str, str]]] = {}
        self.is_away = False
        self.refuses: Refused | None = None
        self.lost_right: Refused | None = None
        self.mirrors: list[PodMirror] = []
        self.claims: dict[str, list[str]] = {}

    def mirror(self, cluster: Any, selector: str) -> PodMirror:
        """A mirror without a thread: it hears of what a test does at once."""
        self.mirrors.append(PodMirror(self, selector))
        return self.mirrors[-1]

    def create(self, pod: Json) -> None:
        self._answer()
        if self.refuses:
            raise self.refuses
        name = pod["metadata"]["name"]
        if name not in self.kept:
            self.kept[name] = pod | {"status": {"phase": "Pending"}}
            self.created.append(name)
            self.hear()

    def delete(self, name: str, grace_s: int) -> None:
        self._answer()
        self.deleted.append((name, grace_s))

    def pod(self, name: str) -> Json | None:
        self._answer()
        return self.kept.get(name)

    def pods(self, selector: str) -> tuple[list[Json], str]:
        self._answer()
        return list(self.kept.values()), ""

    def changes(self, selector: str, version: str) -> Iterator[tuple[str, Json]]:
        return iter(())

    def log(self, name: str, follow: bool) -> "FakeStream":
        self._answer()
        return FakeStream([self.logs[name]] if name in self.logs else [])

    def events(self, name: str) -> list[tuple[str, str]]:
        self._answer()
        return self.told.get(name, [])

    def access_modes(self, claim: str) -> list[str]:
        self._answer()
        if claim not in self.claims:
            raise Refused(403, "cannot get persistentvolumeclaims")
        return self.claims[claim]

    def becomes(self, name: str, **status: Any) -> None:
        """A Pod's status changes, and whoever watches hears of it."""
        self.kept[name] = self.kept[name] | {"status": status}
        self.hear()

    def removed(self, name: str) -> None:
        """A Pod is gone."""
        self.kept.pop(name)
        self.hear()

    def hear(self) -> None:
        if not self.is_away:
            for mirror in self.mirrors:
                mirror.look()

    def _answer(self) -> None:
        if self.is_away:
            raise Unreachable("the cluster cannot be reached: Connection refused")
        if self.lost_right:
            raise self.lost_right


class LogAtOnce(LogCopy):
    """Copies without a thread: all that there is when it begins, and all of it at the end."""

    def start(self) -> "LogAtOnce":
        self._copy(follow=True)
        return self

    def end(self) -> None:
        super().end()
        self.run()


class Launching:
    """A launcher over the cluster in memory, with a clock that tests set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = FakeCluster()
        self.time = 0.0
        self.place = ClusterPlace(claim="state", user=1000)
        self.launcher = self.another()

    def another(self) -> KubernetesLauncher:
        """The launcher of an engine that has started anew."""
        self.launcher = KubernetesLauncher(
            lambda: self.cluster,
            self.place,
            self.folder,
            watch=self.cluster.mirror,
            copy=LogAtOnce,
            monotonic=lambda: self.time,
        )
        return self.launcher

    def job(self, key: str = "train", number: int = 1, **changes: Any) -> Job:
        directory = self.folder / "runs" / "run" / key / f"attempt-{number}"
        directory.mkdir(parents=True, exist_ok=True)
        container = ir.Container(
            "image:1", ("python",), (), {}, changes.pop("resources", {}), kubernetes=changes.pop("asks", {})
        )
        given = {"whose": Whose("run", key, number), "container": container} | changes
        return Job(given.pop("command", ["python", "-m", "steps"]), "image:1", {}, directory, **given)

    def begin(self, **changes: Any) -> str:
        """Starts and releases a job; its handle."""
        handle = self.launcher.start(self.job(**changes))
        self.launcher.release(handle)
        return handle

    @property
    def name(self) -> str:
        """The Pod that was made last."""
        return self.cluster.created[-1]

    def until_ended(self, handle: str) -> Any:
        """Polls until the log is copied, too."""
        for _ in range(2000):
            if (ended := self.launcher.poll(handle)) is not None:
                return ended
            self.time += 0.01
        raise AssertionError("it does not end")


@pytest.fixture
def launching(tmp_path: Path) -> Launching:
    return Launching(tmp_path)


@pytest.fixture
def ended() -> Callable[..., Json]:
    """The status of a Pod whose container has ended."""

    def status(code: int, why: str = "Error", phase: str = "", **more: Any) -> Json:
        times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:05Z"}
        state = {"terminated": {"exitCode": code, "reason": why, **times}}
        return {"phase": phase or ("Failed" if code else "Succeeded"), "containerStatuses": [{"state": state}], **more}

    return status

"""The Docker launcher over a Docker Engine in memory: what it tells the engine of what it is told."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound, NotFound

from pipeline.engine import docker_launch
from pipeline.engine.docker_container import Surroundings
from pipeline.engine.docker_launch import DockerLauncher
from pipeline.engine.failures import FailureKind
from pipeline.engine.launch import Exit, Job, Whose

ENDED = "2026-01-01T00:00:00Z"


@dataclass
class FakeContainer:
    """One container; `State` as `docker inspect` tells it."""

    engine: "FakeEngine"
    id: str
    name: str
    labels: dict[str, str]
    state: dict[str, Any] = field(default_factory=lambda: {"Status": "created", "ExitCode": 0})
    output: bytes = b""
    heard: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        return str(self.state["Status"])

    def start(self) -> None:
        self.engine.refuse_if_told("start")
        self.state["Status"] = "running"

    def kill(self, name: str) -> None:
        self.heard.append(name)

    def remove(self, **_: Any) -> None:
        self.engine.all.pop(self.id)

    def ends(self, code: int, output: bytes = b"", **more: Any) -> None:
        """It has ended."""
        self.output = output
        self.state |= {"Status": "exited", "ExitCode": code, "FinishedAt": ENDED, **more}


class FakeEngine:
    """As much of docker-py's client as the launcher uses."""

    def __init__(self) -> None:
        self.all: dict[str, FakeContainer] = {}
        self.created: list[dict[str, Any]] = []
        self.trouble: dict[str, OSError] = {}
        self.containers = self.images = self.api = self

    def refuse_if_told(self, what: str) -> None:
        for name in (what, "anything"):
            if name in self.trouble:
                raise self.trouble[name]

    def ping(self) -> None:
        self.refuse_if_told("ping")

    def close(self) -> None:
        return

    def create(self, **wanted: Any) -> FakeContainer:
        self.refuse_if_told("create")
        made = FakeContainer(self, f"c{len(self.created)}", wanted["name"], wanted["labels"])
        self.created.append(wanted)
        self.all[made.id] = made
        return made

    def get(self, name: str) -> FakeContainer:
        self.refuse_if_told("get")
        found = next((one for one in self.all.values() if name in (one.id, one.name)), None)
        if found is None:
            raise NotFound(f"no {name}")
        return found

    def list(self, all: bool, filters: dict[str, str]) -> "list[FakeContainer]":
        label, _, value = filters["label"].partition("=")
        return [c for c in self.all.values() if c.labels[label] == value and c.status == filters["status"]]

    def inspect_container(self, name: str) -> dict[str, Any]:
        return {"State": self.get(name).state}

    def logs(self, name: str, follow: bool, **_: Any) -> Iterator[bytes]:
        yield self.get(name).output

    @property
    def only(self) -> FakeContainer:
        (one,) = self.all.values()
        return one


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def make(engine: FakeEngine, tmp_path: Path) -> Callable[[], DockerLauncher]:
    """A launcher, as each new engine of ours makes one."""
    return lambda: DockerLauncher(Surroundings(tmp_path, "5:6", 2), engine=lambda: engine)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder = tmp_path / "runs" / "r" / "t" / "attempt-1"
    folder.mkdir(parents=True)
    return Job(["run", "it"], "image:1", {}, folder, whose=Whose("r1234567890", "t", 1))


def ended(launcher: DockerLauncher, handle: str) -> Exit:
    """Its end, once the log is copied."""
    found = None
    while found is None:
        found = launcher.poll(handle)
    return found


def begun(launcher: DockerLauncher, job: Job) -> str:
    handle = launcher.start(job)
    launcher.release(handle)
    return handle


def test_it_waits_for_its_release(engine: FakeEngine, make: Any, job: Job) -> None:
    launcher = make()
    handle = launcher.start(job)
    assert (engine.only.status, launcher.poll(handle)) == ("created", None)
    launcher.release(handle)
    assert (engine.only.status, launcher.poll(handle)) == ("running", None)


def test_its_end_is_told_noted_and_the_container_removed(engine: FakeEngine, make: Any, job: Job) -> None:
    launcher = make()
    handle = begun(launcher, job)
    engine.only.ends(3, b"said\n")
    assert ended(launcher, handle).code == 3
    assert (job.directory / "log").read_text() == "said\n"
    assert engine.all == {}
    assert make().poll(handle).code == 3


def test_what_the_command_has_noted_of_its_memory_and_cpu_time_counts(engine: FakeEngine, make: Any, job: Job) -> None:
    launcher = make()
    handle = begun(launcher, job)
    note = Path(engine.created[0]["environment"]["SEAMLINE_USAGE"])
    note.write_text('{"max_rss_bytes": 700000000, "cpu_s": 2.5}')
    engine.only.ends(0, StartedAt="2025-12-31T23:59:00Z")
    used = {"max_rss_bytes": 700000000, "cpu_s": 2.5, "wall_s": 60.0, "oom_kills": 0}
    assert ended(launcher, handle).usage == used
    assert make().poll(handle).usage == used


def test_an_image_that_notes_nothing_leaves_memory_and_cpu_time_unknown(
    engine: FakeEngine, make: Any, job: Job
) -> None:
    launcher = make()
    handle = begun(launcher, job)
    engine.only.ends(0)
    assert not {"max_rss_bytes", "cpu_s"} & set(ended(launcher, handle).usage)


def test_a_container_that_is_gone_without_a_note_has_not_succeeded(engine: FakeEngine, make: Any, job: Job) -> None:
    handle = begun(make(), job)
    engine.only.remove()
    assert make().poll(handle) == Exit(None)


@pytest.mark.parametrize("finished", [{}, {"FinishedAt": "0001-01-01T00:00:00Z"}])
def test_a_zero_that_nobody_saw_is_no_success(
    engine: FakeEngine, make: Any, job: Job, finished: dict[str, str]
) -> None:
    launcher = make()
    handle = begun(launcher, job)
    engine.only.state = {"Status": "exited", "ExitCode": 0, **finished}
    assert ended(launcher, handle).code is None


def test_a_silent_docker_engine_is_waited_for(engine: FakeEngine, make: Any, job: Job) -> None:
    launcher = make()
    handle = begun(launcher, job)
    engine.trouble["anything"] = ConnectionError("no answer")
    engine.trouble["get"] = ConnectionError("no answer")
    assert launcher.poll(handle) is None
    launcher.signal(handle, kill=True)
    engine.trouble.clear()
    engine.only.ends(0)
    assert ended(launcher, handle).code == 0


def test_a_release_that_nobody_heard_is_repeated(engine: FakeEngine, make: Any, job: Job) -> None:
    launcher = make()
    handle = launcher.start(job)
    engine.trouble["start"] = ConnectionError("no answer")
    launcher.release(handle)
    assert launcher.poll(handle) is None
    engine.trouble.clear()
    assert launcher.poll(handle) is None
    assert engine.only.status == "running"


def test_a_container_prepared_by_an_engine_that_died_is_removed(engine: FakeEngine, make: Any, job: Job) -> None:
    handle = make().start(job)
    assert make().poll(handle) == Exit(None)
    assert engine.all == {}


def test_a_leftover_of_the_same_name_makes_way(engine: FakeEngine, make: Any, job: Job) -> None:
    make().start(job)
    make().start(job)
    assert engine.only.id == "c1"


def test_an_ended_container_whose_end_is_noted_is_swept_up(engine: FakeEngine, make: Any, job: Job) -> None:
    launcher = make()
    begun(launcher, job)
    engine.only.ends(0)
    (job.directory / "exit.json").write_text("{}")
    make().image_identity("any")  # the first thing that it asks of the Docker Engine
    assert engine.all == {}


def test_an_end_without_room_for_its_note_keeps_the_container(
    engine: FakeEngine, make: Any, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = make()
    handle = begun(launcher, job)
    engine.only.ends(4)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert ended(launcher, handle).code == 4
    assert engine.only.status == "exited"


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (ImageNotFound("No such image"), "docker pull image:1"),
        (APIError("bad", explanation="Minimum memory limit allowed is 6MB"), "ask for what this Docker Engine has"),
        (ConnectionError("no Docker Engine answers"), "start the Docker Engine"),
    ],
)
def test_what_cannot_be_made_is_not_started_with_a_fix(
    engine: FakeEngine, make: Any, job: Job, error: OSError, fix: str
) -> None:
    engine.trouble["create"] = error
    launcher = make()
    failure = ended(launcher, begun(launcher, job)).failure
    assert failure is not None and failure.kind is FailureKind.NOT_STARTED
    assert fix in failure.fix


@pytest.mark.parametrize(("code", "kind"), [(127, None), (126, None), (0, FailureKind.NOT_STARTED)])
def test_what_cannot_be_started_says_so_in_its_log(
    engine: FakeEngine, make: Any, job: Job, code: int, kind: FailureKind | None
) -> None:
    launcher = make()
    handle = launcher.start(job)
    engine.only.state["ExitCode"] = code
    engine.trouble["start"] = APIError("bad", explanation="exec: it: no such file")
    launcher.release(handle)
    told = ended(launcher, handle)
    assert (told.code, told.failure and told.failure.kind) == (code or None, kind)
    assert "no such file" in (job.directory / "log").read_text()
    assert engine.all == {}


def test_signals_go_to_what_runs_and_remove_what_does_not(engine: FakeEngine, make: Any, job: Job) -> None:
    launcher = make()
    handle = begun(launcher, job)
    launcher.signal(handle, kill=False)
    launcher.signal(handle, kill=True)
    assert engine.only.heard == ["SIGTERM", "SIGKILL"]
    waiting = launcher.start(job)
    launcher.signal(waiting, kill=False)
    assert ended(launcher, waiting) == Exit(None)


def test_a_start_waits_for_a_docker_engine_that_has_answered(
    engine: FakeEngine, make: Any, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = make()
    launcher.image_identity("any")
    engine.trouble["ping"] = ConnectionError("restarting")
    monkeypatch.setattr(docker_launch.time, "sleep", lambda _: engine.trouble.clear())
    assert json.loads(launcher.start(job))["container"] == "c0"


def test_an_image_is_known_by_its_content_or_else_by_its_name(engine: FakeEngine, make: Any) -> None:
    engine.all["sha256:1"] = FakeContainer(engine, "sha256:1", "image:1", {"seamline.state-folder": ""})
    assert make().image_identity("image:1") == "sha256:1"
    assert make().image_identity("image:2") == "image:2"


def test_nothing_of_the_engine_s_own_environment_gets_in(engine: FakeEngine, make: Any, job: Job) -> None:
    make().start(job)
    (wanted,) = engine.created
    assert set(wanted["environment"]) == {"HOME", "TINI_KILL_PROCESS_GROUP", "SEAMLINE_USAGE"}
    assert (wanted["user"], wanted["cap_drop"], wanted["init"]) == ("5:6", ["ALL"], True)
    assert wanted["security_opt"] == ["no-new-privileges"]

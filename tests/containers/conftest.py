"""A real Docker Engine, a base image made without a registry, and the launcher over them.

Tests that need the engine are skipped where none can start; with SEAMLINE_REQUIRE_DOCKER=1 that is a failure.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.docker_container import Surroundings
from pipeline.engine.docker_launch import DockerLauncher, connect
from pipeline.engine.launch import Exit, Job, Whose

BASE = os.environ.get("SEAMLINE_BASE_IMAGE") or "seamline-test-base:bookworm"
FREE_BYTES = 10 << 30
PID_FILES = {"dockerd": Path("/var/run/docker.pid"), "containerd": Path("/var/run/docker/containerd/containerd.pid")}


def unavailable(reason: str) -> Any:
    """Says loudly that the containers were not tried."""
    if os.environ.get("SEAMLINE_REQUIRE_DOCKER") == "1":
        pytest.fail(f"SEAMLINE_REQUIRE_DOCKER=1, but {reason}", pytrace=False)
    pytest.skip(f"NOT RUN, no claim about containers is made: {reason}")


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Polls until something is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)
    return found


@dataclass
class Daemon:
    """A Docker Engine on this machine; `owned` when these tests started it, and so may kill it."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def owned(self) -> bool:
        return self.process is not None

    def start(self, *options: str) -> None:
        """Starts it and waits until it answers."""
        for name, file in PID_FILES.items():
            if not runs(name):
                file.unlink(missing_ok=True)  # left by one that was killed; another process may have its pid by now
        with (self.folder / "dockerd.log").open("ab") as log:
            self.process = subprocess.Popen(["dockerd", *options], stdout=log, stderr=log, start_new_session=True)
        until(lambda: answers() or self.process.poll() is not None, 90)  # type: ignore[union-attr]
        if not answers():
            self.process = None
            last = (self.folder / "dockerd.log").read_text().splitlines()[-1:]
            unavailable(f"dockerd does not start: {last}")

    def end(self, number: int = signal.SIGTERM) -> None:
        """Ends it by a signal and waits for it."""
        if self.process:
            self.process.send_signal(number)
            self.process.wait(90)
            until(lambda: not runs("containerd"))  # its child: a dockerd that met it dying would wait for it in vain


def runs(name: str) -> bool:
    """Whether the process runs that a pid file names."""
    try:
        pid = int(PID_FILES[name].read_text() or 0)
        return name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def answers() -> bool:
    """Whether a Docker Engine does."""
    try:
        connect().close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The Docker Engine that runs, or one that is started and ended here."""
    found = Daemon(tmp_path_factory.mktemp("dockerd"))
    (found.folder / "config.json").write_text("{}")
    os.environ["DOCKER_CONFIG"] = str(found.folder)  # nobody's credential helpers
    if not answers():
        if os.geteuid() or not shutil.which("dockerd") or not shutil.which("docker"):
            unavailable("no Docker Engine answers, and starting one takes root and `apt-get install docker.io`")
        if "PYTEST_XDIST_WORKER" in os.environ:
            unavailable("no Docker Engine answers, and several workers do not start one: `make test-containers`")
        if shutil.disk_usage("/var/lib").free < FREE_BYTES:
            unavailable("less than 10 GB are free at /var/lib")
        found.start()
    yield found
    found.end()


@pytest.fixture(scope="session")
def base(daemon: Daemon) -> str:
    """Name of an image with Python and a shell."""
    client = connect(timeout_s=600)
    if not client.images.list(name=BASE):
        if os.geteuid() or not shutil.which("debootstrap"):
            unavailable(f"there is no image {BASE}, and making it takes root and `apt-get install debootstrap`")
        subprocess.run([Path(__file__).with_name("base_image.sh"), BASE], check=True)
    return BASE


@dataclass
class Lab:
    """A launcher over the real engine, and short ways to say what happens."""

    image: str
    state: Path
    around: Surroundings
    client: Any

    def launcher(self, **around: Any) -> DockerLauncher:
        """A launcher as a new engine would make it."""
        return DockerLauncher(replace(self.around, **around))

    def job(self, *command: str, name: str = "task", **more: Any) -> Job:
        """A job in a fresh attempt's folder."""
        folder = self.state / "runs" / "run" / name / "attempt-1"
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, *map(int, self.around.user.split(":")))
        whose = Whose("run00000", name, 1)
        return Job(command, more.pop("image", self.image), more.pop("environment", {}), folder, whose=whose, **more)

    def begin(self, launcher: DockerLauncher, job: Job) -> str:
        """Starts and releases."""
        handle = launcher.start(job)
        launcher.release(handle)
        return handle

    def finish(self, launcher: DockerLauncher, handle: str, seconds: float = 60.0) -> Exit:
        """Waits for the end."""
        found = until(lambda: launcher.poll(handle), seconds)
        assert isinstance(found, Exit)
        return found

    def run(self, *command: str, **more: Any) -> tuple[Exit, str]:
        """How a command ends, and its log."""
        around = more.pop("around", {})
        launcher, job = self.launcher(**around), self.job(*command, **more)
        ended = self.finish(launcher, self.begin(launcher, job))
        log = job.directory / "log"
        return ended, log.read_text() if log.exists() else ""

    def log_of(self, handle: str) -> str:
        """What the log of an attempt holds now."""
        path = Path(json.loads(handle)["directory"]) / "log"
        return path.read_text() if path.exists() else ""

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Waits until something is true."""
        until(condition)

    def wait_for_words(self, handle: str, text: str) -> None:
        """Waits until a log holds a text."""
        until(lambda: text in self.log_of(handle))

    def containers(self) -> list[Any]:
        """Containers of this state folder."""
        label = f"seamline.state-folder={self.state}"
        return list(self.client.containers.list(all=True, filters={"label": label}))


@pytest.fixture
def lab(base: str, tmp_path: Path) -> Iterator[Lab]:
    tmp_path.chmod(0o755)
    around = Surroundings(tmp_path / "state", f"{os.getuid()}:{os.getgid()}", os.cpu_count() or 1)
    made = Lab(base, tmp_path / "state", around, connect())
    yield made
    for container in until(lambda: made if answers() else None).containers():
        container.remove(force=True)


@pytest.fixture
def mortal(daemon: Daemon, lab: Lab) -> Iterator[Daemon]:
    """A Docker Engine that may be killed."""
    if not daemon.owned:
        unavailable("the Docker Engine that runs is not of these tests, so they do not kill it")
    yield daemon
    daemon.end()
    daemon.start()


@pytest.fixture(scope="session")
def steps_image(base: str) -> Any:
    """The image of the steps, as `seamline images build` makes it from this checkout."""
    from pipeline import images

    return images.build(connect(timeout_s=1800), "steps-cpu", base, print)


@pytest.fixture(scope="session")
def server_image(base: str) -> Any:
    """The image of the server, likewise."""
    from pipeline import images

    return images.build(connect(timeout_s=1800), "server", base, print)

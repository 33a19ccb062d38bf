"""Runs commands as containers of a Docker Engine that shares this machine's files.

A handle names a container and the attempt's folder. Truth is what the Docker Engine says of the container; how it
ended is noted in the attempt's folder before the container is removed. While the Docker Engine does not answer, a
container counts as running: it may be, and its end is told later. A container that is gone without a note has not
succeeded.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.engine import docker_container, exit_note
from pipeline.engine.docker_container import FOLDER, STATE_FOLDER, Surroundings
from pipeline.engine.docker_handle import Handle
from pipeline.engine.docker_log import Copy
from pipeline.engine.docker_refusal import is_silence, not_started, words
from pipeline.engine.launch import Exit, Job

ASK_S = 20.0
WAIT_S = 30.0
"""How long a start waits for a Docker Engine that has answered before: so long does its own restart take."""
_KEPT_OUTPUT = {"max-size": "64m", "max-file": "3"}
_NO_PROGRAM = (126, 127)


def connect(timeout_s: float = ASK_S) -> Any:
    """A client of the Docker Engine that DOCKER_HOST names, by default the one on this machine.

    Args:
        timeout_s: how long it waits for an answer.

    Raises:
        OSError: none answers.
    """
    from docker.client import DockerClient
    from docker.errors import DockerException

    try:
        return DockerClient.from_env(timeout=timeout_s)
    except DockerException as error:
        raise ConnectionError(f"no Docker Engine answers: {error}") from error


class DockerLauncher:
    """Runs each job in a container of its own, with nothing but its inputs, its outputs and the data.

    Args:
        around: what every container gets.
        writable: a job's parameters -> folders outside its attempt's that it writes; they exist.
        engine: makes a client of the Docker Engine.
    """

    def __init__(
        self,
        around: Surroundings,
        writable: Callable[[Mapping[str, Any]], tuple[str, ...]] = lambda parameters: (),
        engine: Callable[[], Any] = connect,
    ) -> None:
        self._around = around
        self._writable = writable
        self._connect = engine
        self._client: Any = None
        self._waiting: dict[str, bool] = {}  # prepared here and not running yet; True once released
        self._copies: dict[str, Copy] = {}

    def start(self, job: Job) -> str:
        """See Launcher. What the Docker Engine refuses is told by `poll`, as a failure with its fix."""
        (job.directory / exit_note.NAME).unlink(missing_ok=True)
        writable = self._writable(job.parameters)  # trouble with a folder is the machine's, not the Docker Engine's
        try:
            handle = Handle(self._create(job, writable), str(job.directory))
        except OSError as error:
            handle = Handle("", str(job.directory))
            exit_note.write(handle.folder, Exit(None, failure=not_started(error, job.image)))
            return handle.text
        self._waiting[handle.text] = False
        return handle.text

    def release(self, handle: str) -> None:
        """See Launcher."""
        if handle not in self._waiting:
            return
        place = Handle.read(handle)
        self._waiting[handle] = True
        try:
            self._ask().containers.get(place.container).start()
        except OSError as error:
            if is_silence(error):
                return  # poll tries again
            self._refused(handle, error)
            return
        self._waiting.pop(handle)
        self._copy(place)

    def poll(self, handle: str) -> Exit | None:
        """See Launcher."""
        place = Handle.read(handle)
        try:
            state = self._state(place.container)
        except OSError:
            return None
        if state is None or state["Status"] == "removing":
            return exit_note.read(place.folder) or Exit(None)
        if state["Status"] == "created":
            return self._poll_created(handle)
        copied = self._copy(place).is_done
        if state["Status"] not in ("exited", "dead") or not copied:
            return None
        ended = exit_note.with_usage(place.folder, docker_container.exit_of(state))
        self._forget(handle, ended)
        return ended

    def signal(self, handle: str, kill: bool) -> None:
        """See Launcher."""
        place = Handle.read(handle)
        if not place.container:
            return
        try:
            container = self._ask().containers.get(place.container)
            if handle in self._waiting or container.status == "created":
                container.remove(force=True)
            else:
                container.kill("SIGKILL" if kill else "SIGTERM")
        except OSError:  # gone, ended, or no engine to ask: the next signal or poll will tell
            return

    def image_identity(self, image: str) -> str:
        """The content behind an image's name: its id, or the name where the Docker Engine does not know it."""
        try:
            return str(self._ask().images.get(image).id)
        except OSError:
            return image

    def _create(self, job: Job, writable: tuple[str, ...]) -> str:
        from docker.errors import NotFound

        client = self._await()
        around = replace(self._around, writable=writable)
        wanted = docker_container.arguments(job, around) | _mounted(job, around)
        leftover = wanted["name"]  # of an engine that died before it journalled the start
        with contextlib.suppress(NotFound):
            client.containers.get(leftover).remove(force=True)
        return str(client.containers.create(**wanted).id)

    def _await(self) -> Any:
        """A client, also of an engine that is being restarted."""
        give_up = time.monotonic() + (WAIT_S if self._client else 0.0)
        while True:
            try:
                client = self._ask()
                client.ping()
                return client
            except OSError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.2)

    def _ask(self) -> Any:
        if self._client is None:
            self._client = self._connect()
            self._sweep()
        return self._client

    def _sweep(self) -> None:
        """Removes ended containers of this state folder whose end is noted: the engine died before it could."""
        mine = {"label": f"{STATE_FOLDER}={self._around.state_dir}", "status": "exited"}
        for container in self._client.containers.list(all=True, filters=mine):
            folder = container.labels.get(FOLDER, "")
            if folder and (Path(folder) / exit_note.NAME).exists():
                _remove(container)

    def _state(self, container: str) -> Mapping[str, Any] | None:
        """What the Docker Engine says of a container; None when it has none of that name."""
        from docker.errors import NotFound

        if not container:
            return None
        try:
            state: Mapping[str, Any] = self._ask().api.inspect_container(container)["State"]
        except NotFound:
            return None
        return state

    def _poll_created(self, handle: str) -> Exit | None:
        """Prepared and not running: not released yet, or not by an engine that has died, and then nobody will."""
        if handle not in self._waiting:
            self._forget(handle, Exit(None))
            return Exit(None)
        if self._waiting[handle]:
            self.release(handle)
        return None

    def _refused(self, handle: str, error: OSError) -> None:
        """The Docker Engine has the container and cannot start it: no such program, no such device."""
        place = Handle.read(handle)
        state = self._state(place.container) or {}
        with place.log.open("a", encoding="utf-8") as log:
            log.write(f"seamline: cannot start the command: {words(error)}\n")
        code = state.get("ExitCode")
        known = code in _NO_PROGRAM
        self._forget(handle, Exit(code) if known else Exit(None, failure=not_started(error, "")))

    def _copy(self, place: Handle) -> Copy:
        """The copying of its output, begun if need be."""
        if place.container not in self._copies:
            output = _Output(self._connect, place.container)
            self._copies[place.container] = Copy(output, place.log)
            self._copies[place.container].begin()
        return self._copies[place.container]

    def _forget(self, handle: str, ended: Exit) -> None:
        """Notes how a container ended, then removes it; without room for the note it stays."""
        place = Handle.read(handle)
        self._waiting.pop(handle, None)
        self._copies.pop(place.container, None)
        try:
            exit_note.write(place.folder, ended)
            _remove(self._ask().containers.get(place.container))
        except OSError:
            return


class _Output:
    """See docker_log.Output. It has a client of its own: streams of many containers would fill one's connections."""

    def __init__(self, engine: Callable[[], Any], container: str) -> None:
        self._connect = engine
        self._container = container

    def stream(self, follow: bool) -> Iterator[bytes]:
        """See docker_log.Output."""
        from docker.errors import NotFound

        client = self._connect()
        try:
            yield from client.api.logs(self._container, stdout=True, stderr=True, stream=True, follow=follow)
        except NotFound:
            return
        finally:
            client.close()

    def runs(self) -> bool:
        """See docker_log.Output."""
        from docker.errors import NotFound

        try:
            client = self._connect()
            status = client.api.inspect_container(self._container)["State"]["Status"]
            client.close()
        except NotFound:
            return False
        except OSError:
            return True
        return str(status) in ("created", "running", "paused", "restarting")


def _mounted(job: Job, around: Surroundings) -> dict[str, Any]:
    """The arguments that are docker-py's own types."""
    from docker.types import DeviceRequest, LogConfig, Mount

    shared = docker_container.mounts(job, around)
    devices = [DeviceRequest(device_ids=[str(i) for i in job.gpus], capabilities=[["gpu"]])] if job.gpus else []
    return {
        "mounts": [Mount(one.path, one.path, type="bind", read_only=one.read_only) for one in shared],
        "device_requests": devices,
        "log_config": LogConfig(type="json-file", config=_KEPT_OUTPUT),
    }


def _remove(container: Any) -> None:
    from docker.errors import APIError

    try:
        container.remove(force=True, v=True)
    except APIError:  # gone, or somebody else removes it
        return

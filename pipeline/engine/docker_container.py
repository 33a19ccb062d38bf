"""What a job asks of a Docker Engine: the container that runs it, and how such a container has ended. Pure."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.engine import exit_note, ir
from pipeline.engine.budget import cpu_limit_of, quantity
from pipeline.engine.launch import Exit, Job

RUN, TASK, ATTEMPT, FOLDER, STATE_FOLDER = (
    f"seamline.{name}" for name in ("run", "task", "attempt", "folder", "state-folder")
)
"""Labels of a container, by which it is found."""
_SHARED_MEMORY = "/dev/shm"
_NEVER = "0001-01-01"  # the engine's zero time: it did not see it happen
# A text that happens to name one of these is no input, and mounting it would hide what the image brings.
_OF_THE_IMAGE = tuple(
    map(
        PurePosixPath,
        (
            *("/app", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/opt/venv", "/proc", "/run"),
            *("/sbin", "/sys", "/tmp", "/usr/bin", "/usr/lib", "/usr/local/bin", "/usr/local/lib", "/usr/sbin"),
        ),
    )
)
_ONLY_THEMSELVES = frozenset({PurePosixPath("/tmp")})  # what lies below belongs to whoever put it there
NO_EXTRA: Mapping[str, str] = {}


@dataclass(frozen=True)
class Surroundings:
    """What every container of an engine gets.

    Attributes:
        state_dir: the engine's state folder, by which its containers are told from others.
        user: `uid:gid` whose files its outputs are.
        cpus: cores of the machine; more cannot be asked for.
        network: a network of the Docker Engine, `none` for none; empty for the engine's own default.
        environment: set for every command, on top of what the task adds.
        writable: folders that it may write, beside its attempt's.
        readable: files and folders that it may read, beside those that its inputs name.
    """

    state_dir: Path
    user: str = ""
    cpus: int = 1
    network: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: NO_EXTRA)
    writable: Sequence[str] = ()
    readable: Sequence[str] = ()


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine, at the same path in the container."""

    path: str
    read_only: bool


def name_of(job: Job, state_dir: Path) -> str:
    """The container's name: the same for the same attempt, so that a leftover of it is met and removed."""
    whose = job.whose
    digest = hashlib.sha256(f"{state_dir}\0{whose.run_id}\0{whose.key}\0{job.directory}".encode()).hexdigest()
    return f"seamline-{whose.run_id[:8] or 'job'}-{digest[:12]}-{whose.number}"


def arguments(job: Job, around: Surroundings) -> dict[str, Any]:
    """Keyword arguments of docker-py's `containers.create`, but for mounts, GPUs and the log's configuration.

    Raises:
        PipelineError: a resource quantity that cannot be read.
    """
    whose = job.whose
    return {
        "image": job.image,
        **_command(job),
        "name": name_of(job, around.state_dir),
        "labels": {
            RUN: whose.run_id,
            TASK: whose.key,
            ATTEMPT: str(whose.number),
            FOLDER: str(job.directory),
            STATE_FOLDER: str(around.state_dir),
        },
        # Two words to the small init in every container: signals go to the command's children, too.
        "environment": {
            "HOME": "/tmp",
            "TINI_KILL_PROCESS_GROUP": "1",
            exit_note.USAGE: str(job.directory / exit_note.USAGE_FILE),
            **around.environment,
            **job.environment,
        },
        "user": around.user,
        "init": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        **_limits(job, around.cpus),
        **({"network": around.network} if around.network else {}),
    }


def _command(job: Job) -> dict[str, Any]:
    """As in Kubernetes: a command takes the place of the image's entrypoint; arguments alone are given to it."""
    words = list(job.command)
    if job.container is not None and not job.container.command:
        return {"command": words}
    return {"entrypoint": words, "command": []}


def _limits(job: Job, cpus: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if job.memory_bytes:
        found |= {"mem_limit": job.memory_bytes, "memswap_limit": job.memory_bytes}
    if job.container is not None:
        cores = min(cpu_limit_of(job.container.resources, job.parameters), cpus)
        found |= {"nano_cpus": round(cores * 1e9)} if cores else {}
        shared = shared_memory_bytes(job.container)
        found |= {"shm_size": shared} if shared else {}
    return found


def shared_memory_bytes(container: ir.Container) -> int:
    """Size of /dev/shm that the task asks for with kfp-kubernetes' `empty_dir_mount`; 0 where nothing is said."""
    volumes = container.kubernetes.get("emptyDirMounts", ())
    sizes = [one.get("sizeLimit", "0") for one in volumes if one.get("mountPath") == _SHARED_MEMORY]
    return int(max(map(quantity, sizes), default=0.0))


def mounts(job: Job, around: Surroundings) -> list[Mount]:
    """The attempt's folder and what may be written, what its inputs name and what may be read; none inside another.

    Whatever lies inside a writable folder is writable: references are written below the folder that holds them all.
    """
    wanted = [Mount(path, False) for path in (str(job.directory), *around.writable)]
    wanted += [Mount(path, True) for path in (*job.paths, *around.readable) if not _is_of_the_image(path)]
    return list(_outermost(wanted))


def _outermost(wanted: Sequence[Mount]) -> Iterator[Mount]:
    """Those that no other holds. A writable folder inside a readable one stays: it is mounted on top."""
    for number, one in enumerate(wanted):
        before = wanted[:number]
        if any(_holds(other, one) for other in wanted if other is not one and other.path != one.path):
            continue
        if not any(other.path == one.path for other in before):
            yield one


def _holds(outer: Mount, inner: Mount) -> bool:
    return PurePosixPath(inner.path).is_relative_to(outer.path) and (inner.read_only or not outer.read_only)


def _is_of_the_image(path: str) -> bool:
    real = PurePosixPath(os.path.realpath(path))
    return any(
        own.is_relative_to(real) or (real.is_relative_to(own) and own not in _ONLY_THEMSELVES) for own in _OF_THE_IMAGE
    )


def exit_of(state: Mapping[str, Any]) -> Exit:
    """How a container has ended, from `State` of `docker inspect`.

    A status of 0 counts only with the moment it was seen: after a crash of the machine the Docker Engine says 0 of
    whatever it lost. Out of memory is told by the status and the flag together (see `failures.classify`): the flag
    alone also stands for a child whose end the command survived.
    """
    code = int(state.get("ExitCode", 0))
    if code == 0 and str(state.get("FinishedAt", _NEVER)).startswith(_NEVER):
        return Exit(None)
    return Exit(code, {"oom_kills": int(bool(state.get("OOMKilled")))} | _wall_time(state))


def _wall_time(state: Mapping[str, Any]) -> dict[str, float]:
    """Seconds between the two moments that the Docker Engine has seen."""
    try:
        begin, end = (datetime.fromisoformat(str(state.get(name))) for name in ("StartedAt", "FinishedAt"))
    except ValueError:
        return {}
    was_seen = not str(state["StartedAt"]).startswith(_NEVER)
    return {"wall_s": round((end - begin).total_seconds(), 3)} if was_seen and end >= begin else {}

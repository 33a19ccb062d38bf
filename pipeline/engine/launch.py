"""Starts, watches and ends the command of one task: as a process here; containers and Pods fit the same contract."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pipeline.engine import ir, process
from pipeline.engine.failures import Failure, ended_how
from pipeline.errors import PipelineError

_SUPERVISE = Path(__file__).with_name("supervise.py")
_NOTE_BYTES = 512
MARK = "SEAMLINE_ATTEMPT"
"""Environment variable of a command and all its children, by which they are found: the attempt's folder."""
MAX_ARGUMENT_BYTES = 131071  # Linux: MAX_ARG_STRLEN, one word with its final zero


@dataclass(frozen=True)
class Whose:
    """Which attempt of which task of which run a command is."""

    run_id: str = ""
    key: str = ""
    number: int = 0


NOBODYS = Whose()


@dataclass(frozen=True)
class Job:
    """What to start.

    Attributes:
        command: the argument vector, placeholders filled.
        image: container image, for launchers that use one.
        environment: what is set for the command, on top of what its place gives.
        directory: the attempt's folder (exists); the launcher writes `log` there.
        cpu_slots: how many CPU slots it holds.
        memory_bytes: its memory limit, 0 for none.
        gpus: indices of the GPUs it holds.
        whose: the attempt that it is.
        paths: local files and folders that its inputs name, for launchers that have to mount them.
        container: its executor in the IR, for launchers that place it by more than this.
        parameters: its own and those of the pipeline around it, which the executor's resources and placement may name.
    """

    command: Sequence[str]
    image: str
    environment: Mapping[str, str]
    directory: Path
    cpu_slots: float = 1.0
    memory_bytes: int = 0
    gpus: tuple[int, ...] = ()
    whose: Whose = NOBODYS
    paths: tuple[str, ...] = ()
    container: ir.Container | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Exit:
    """How a command ended.

    Attributes:
        code: exit status; negative: killed by that signal; None: it is gone and left no note.
        usage: `max_rss_bytes`, `cpu_s`, `wall_s`, and `oom_kills` of the kernel meanwhile, where known.
        failure: why it failed, where its place knows better than the exit status and the log tell: evicted, no image.
    """

    code: int | None
    usage: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None

    @property
    def reason(self) -> str:
        """In words; empty when it succeeded."""
        return ended_how(self.code)


class Launcher(Protocol):
    """What the engine needs of a place to run commands. A handle is text that survives the engine."""

    def start(self, job: Job) -> str:
        """Prepares a command and returns its handle; the command itself waits for `release`.

        Raises:
            PipelineError: it cannot be started.
        """

    def release(self, handle: str) -> None:
        """Lets a prepared command run. Called once its handle is journalled."""

    def poll(self, handle: str) -> Exit | None:
        """None while it runs. Works for handles of an engine that has died, too."""

    def signal(self, handle: str, kill: bool) -> None:
        """Asks the command and all its children to end (SIGTERM), or ends them (SIGKILL); harmless when gone."""


@runtime_checkable
class Queueing(Launcher, Protocol):
    """A place with a queue of its own, a cluster for instance: what has been released may still have to wait there."""

    def waits(self, handle: str) -> str | None:
        """What a released command waits for, in words, as of the last `poll`; empty once it has begun.

        None for a command that never waits. Of any other, the place itself keeps the limit of time.
        """

    def held_since(self, handle: str) -> float | None:
        """From when the place has kept for it what it asked for, by the place's clock, as of the last `poll`.

        Seconds since 1970; infinite for some moment that the place does not tell, None while the command queues.
        """


def waits(launcher: Launcher, handle: str) -> str | None:
    """What `Queueing.waits` answers; None in a place without a queue."""
    return launcher.waits(handle) if isinstance(launcher, Queueing) else None


def held_since(launcher: Launcher, handle: str) -> float | None:
    """What `Queueing.held_since` answers; 0, so from its start, in a place without a queue."""
    return launcher.held_since(handle) if isinstance(launcher, Queueing) else 0.0


def refuse_long_arguments(command: Sequence[str]) -> None:
    """Refuses what no Linux takes as a command line.

    Raises:
        PipelineError: one word is too long.
    """
    longest = max((len(os.fsencode(word)) for word in command), default=0)
    if longest > MAX_ARGUMENT_BYTES:
        raise PipelineError(
            f"one argument of the command has {longest} bytes, Linux takes {MAX_ARGUMENT_BYTES}; "
            "pass a reference to the data instead of the data"
        )


class ProcessLauncher:
    """Runs commands as processes of this machine, each in its own session, in the project's own environment.

    `python` in a command is the interpreter that runs the engine.

    Args:
        working_directory: where commands start; by default a fresh folder `work` in each attempt's folder.
    """

    def __init__(self, working_directory: Path | None = None) -> None:
        self._working_directory = working_directory
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, job: Job) -> str:
        """See Launcher."""
        refuse_long_arguments(job.command)
        # The space of the note that tells how it ended: a disk that fills up meanwhile does not cost the work.
        (job.directory / "exit.json.new").write_bytes(b" " * _NOTE_BYTES)
        (job.directory / "job.json").write_text(json.dumps({"command": list(job.command)}), encoding="utf-8")
        where = self._working_directory or job.directory / "work"
        where.mkdir(parents=True, exist_ok=True)
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SUPERVISE), str(job.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=where,
            env=_environment(job),
            start_new_session=True,
        )
        handle = json.dumps({"process": process.identity(child.pid), "directory": str(job.directory)})
        self._children[handle] = child
        return handle

    def release(self, handle: str) -> None:
        """See Launcher."""
        pipe = self._children[handle].stdin
        if pipe:
            try:
                pipe.write(b"g")
                pipe.close()
            except BrokenPipeError:  # killed before it began; poll will tell
                return

    def poll(self, handle: str) -> Exit | None:
        """See Launcher."""
        child = self._children.get(handle)
        alive = child.poll() is None if child else process.is_alive(_read(handle)["process"])
        if alive:
            return None
        self._children.pop(handle, None)
        note = Path(_read(handle)["directory"]) / "exit.json"
        if note.exists():
            body = json.loads(note.read_text(encoding="utf-8"))
            return Exit(body["code"], body["usage"])
        _end_orphans(handle)
        return Exit(child.returncode if child and child.returncode else None)

    def signal(self, handle: str, kill: bool) -> None:
        """See Launcher."""
        name = _read(handle)["process"]
        child = self._children.get(handle)
        if child and child.stdin and not child.stdin.closed:
            child.stdin.close()  # never released: it ends by itself
        if process.is_alive(name):
            _signal_group(process.pid_of(name), signal.SIGKILL if kill else signal.SIGTERM)
            if kill:
                _end_marked(handle)


def _read(handle: str) -> dict[str, str]:
    body: dict[str, str] = json.loads(handle)
    return body


def _end_orphans(handle: str) -> None:
    """Ends a command whose supervisor was killed: nobody would learn how it ends, and a repetition must not meet it.

    The kernel gives no process the pid of a living group, so without a process of that pid the group is ours.
    """
    name = _read(handle)["process"]
    if name and process.is_of_this_boot(name):
        if not process.identity(process.pid_of(name)):
            _signal_group(process.pid_of(name), signal.SIGKILL)
        _end_marked(handle)


def _end_marked(handle: str) -> None:
    """Ends what has left the command's session, too."""
    for pid in process.with_variable(MARK, _read(handle)["directory"]):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _environment(job: Job) -> dict[str, str]:
    """The engine's own environment and the task's; `python` is the interpreter that runs the engine."""
    merged = {**os.environ, **job.environment, MARK: str(job.directory)}
    if job.gpus:
        merged["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, job.gpus))
    folder = str(Path(sys.executable).parent)
    return {**merged, "PATH": folder + os.pathsep + merged.get("PATH", os.defpath)}

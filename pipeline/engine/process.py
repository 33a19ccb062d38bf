"""Names a process so that it is recognised later: a pid alone is reused, a pid with its start time and boot is not."""

import os
import subprocess
from pathlib import Path

_PROC = Path("/proc")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STATE_FIELD, _START_FIELD = 0, 19  # of /proc/<pid>/stat after the command's closing parenthesis; see proc(5)


def identity(pid: int) -> str:
    """`pid:start:boot` of a living process, empty when there is none (a zombie is none)."""
    started = _start_in_proc(pid) if _PROC.joinpath("self").exists() else _start_by_ps(pid)
    return f"{pid}:{started}:{_boot()}" if started else ""


def is_alive(name: str) -> bool:
    """Whether the process of an identity still runs."""
    return bool(name) and identity(pid_of(name)) == name


def pid_of(name: str) -> int:
    """The pid in an identity."""
    return int(name.split(":", 1)[0])


def is_of_this_boot(name: str) -> bool:
    """Whether the machine has not been restarted since the process was named."""
    return name.rpartition(":")[2] == _boot()


def with_variable(name: str, value: str) -> list[int]:
    """Pids of the processes that were started with an environment variable of that value, where the system tells."""
    entry = os.fsencode(f"{name}={value}")
    return [int(folder.name) for folder in _PROC.glob("[0-9]*") if entry in _environment(folder)]


def _environment(folder: Path) -> list[bytes]:
    try:
        return (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or it is another user's
        return []


def own_identity() -> str:
    """The identity of this process."""
    return identity(os.getpid())


def _boot() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "boot"


def _start_in_proc(pid: int) -> str:
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[_STATE_FIELD] in "ZX" else fields[_START_FIELD]


def _start_by_ps(pid: int) -> str:
    """For systems without /proc (macOS)."""
    told = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = told.stdout.strip().partition(" ")
    return "" if not state or state.startswith("Z") else "-".join(started.replace(":", ".").split())

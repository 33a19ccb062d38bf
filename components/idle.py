"""Ends a step that holds a GPU and does nothing with it: a forgotten machine costs as much as a busy one.

Works wherever the step runs, on a stock KFP too, since it is the step itself that watches. Idle is: no line, no busy
GPU and hardly any CPU for a while. What spins (a hung kernel keeps its GPU busy) is left to the task's time limit.
"""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from components import progress, usage

LIMIT = "SEAMLINE_IDLE_S"
"""Environment variable: seconds without a sign of life; empty or 0 for no watching."""
EXIT = 124
"""Exit code of a step that ended itself; `timeout` of coreutils ends so, too."""
BUSY_CORES = 0.05
"""Mean number of cores from which on a step counts as working; a waiting TensorFlow takes less than 0.01."""
_SHORTEST_LOOK_S, _LONGEST_LOOK_S = 0.5, 30.0
_QUERY = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Signs:
    """What a look sees: lines said so far, CPU seconds used so far, whether a GPU computes just now."""

    lines: int
    cpu_s: float
    gpu_busy: bool = False


class Idleness:
    """How long a step has done nothing.

    Args:
        now: monotonic seconds.
        signs: what the first look saw.
    """

    def __init__(self, now: float, signs: Signs) -> None:
        self._alive_at = self._seen_at = now
        self._seen = signs

    def seconds(self, now: float, signs: Signs) -> float:
        """Takes note of a look, and says how long there has been no sign of life."""
        cores = (signs.cpu_s - self._seen.cpu_s) / max(1e-9, now - self._seen_at)
        if signs.lines != self._seen.lines or signs.gpu_busy or cores >= BUSY_CORES:
            self._alive_at = now
        self._seen, self._seen_at = signs, now
        return now - self._alive_at


def watch_from_environment() -> None:
    """Starts watching this process in a thread of its own, if the environment asks for it."""
    try:
        limit_s = float(os.environ.get(LIMIT) or 0)
    except ValueError:
        progress.log(f"{LIMIT}={os.environ[LIMIT]!r} is no number of seconds: nobody watches whether this task is idle")
        return
    if limit_s > 0:
        threading.Thread(target=watch, args=(limit_s,), name="idle", daemon=True).start()


def watch(
    limit_s: float,
    look: Callable[[], Signs] | None = None,
    end: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Looks now and then, and ends the step when it has done nothing for `limit_s` seconds."""
    look, end = look or signs_of_this_process, end or _end
    idleness = Idleness(clock(), look())
    pause_s = min(_LONGEST_LOOK_S, max(_SHORTEST_LOOK_S, limit_s / 20))
    while True:
        sleep(pause_s)
        if idleness.seconds(clock(), look()) >= limit_s:
            end(
                f"idle: no line, no busy GPU and hardly any CPU for {limit_s / 60:.3g} minutes, so the GPU is free; "
                "find out what the step waits for, or raise placement.idle_minutes"
            )
            return


def signs_of_this_process() -> Signs:
    """Looks at this process, its ended children, and the GPUs that it sees."""
    used = os.times()
    cpu_s = used.user + used.system + used.children_user + used.children_system
    return Signs(progress.num_lines(), cpu_s, _gpu_is_busy())


def _gpu_is_busy() -> bool:
    """Whether any GPU computes just now; False where that cannot be known."""
    program = shutil.which("nvidia-smi")
    if not program:
        return False
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    only = ("-i", chosen) if chosen and "-" not in chosen else ()
    try:
        told = subprocess.run([program, *_QUERY, *only], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return any(line.strip().isdigit() and int(line) > 0 for line in told.stdout.splitlines())


def _end(why: str) -> None:
    """Ends the process from a thread, without asking the others: the main one may hang inside a library for ever."""
    os.write(2, f"error: {why}\n".encode())
    usage.note()
    os._exit(EXIT)

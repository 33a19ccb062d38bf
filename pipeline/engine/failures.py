"""Why an attempt failed: its class, the cause and the likely fix in a line each. Pure.

A class decides how often the attempt is repeated (`retries.py`), so that a mistake in the code is not paid for again
and again, and a lost machine costs no retry of the user's.
"""

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MENDABLE_EXIT = 2
"""A step ends with 2 when its settings or data are wrong: repeating it cannot help."""
TIMED_OUT_EXIT = 124
"""A step that did nothing for too long ends itself so; so does `timeout` of coreutils."""
UNREACHABLE_EXIT = 75
"""EX_TEMPFAIL of sysexits.h: a step ends with it when a service that it needs does not answer."""
MAX_CAUSE = 240
NEAR_LIMIT = 0.9  # of the limit: the kernel counts pages that a process's own peak does not show
_SHELL_SIGNAL = 128  # a shell whose command was killed by signal N ends with 128 + N
_FROM_OUTSIDE = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

_NO_MEMORY = re.compile(
    r"MemoryError\b|ResourceExhausted|RESOURCE_EXHAUSTED|OOM when allocating|std::bad_alloc|OutOfMemoryError"
    r"|CUDA_ERROR_OUT_OF_MEMORY|CUDA out of memory|Cannot allocate memory"
)
_ON_GPU = re.compile(r"device:GPU|GPU_\d+_bfc|CUDA", re.IGNORECASE)
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|Errno 28\b|database or disk is full")
_ERROR_LINE = re.compile(r"^(?:[\w.]+(?:Error|Exception|Interrupt|Exit|Warning)\b.*|error: .*|seamline: .*)$")


class FailureKind(StrEnum):
    """Classes of failures."""

    PREEMPTED = "preempted"  # ended from outside: with its machine or engine, or by somebody's signal
    OUT_OF_MEMORY = "out of memory"
    TIMEOUT = "timeout"
    DISK_FULL = "disk full"
    UNREACHABLE = "unreachable"  # a service, as a bucket, did not answer in time: exit code 75
    BAD_DATA = "bad data"  # settings or data are wrong: exit code 2
    NOT_STARTED = "not started"  # its place could not start it: no such image, no node that fits, not allowed
    BUG = "bug"  # everything else


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed.

    Attributes:
        kind: its class.
        cause: what happened, in a line.
        fix: what most likely helps, in a line.
        on_gpu: it was the memory of a GPU that ran out.
    """

    kind: FailureKind
    cause: str
    fix: str
    on_gpu: bool = False

    def as_json(self) -> dict[str, Any]:
        """For a JSON column or an API."""
        return {"kind": str(self.kind), "cause": self.cause, "fix": self.fix, "on_gpu": self.on_gpu}

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> "Failure | None":
        """What `as_json` gave; None for an attempt that has not failed."""
        return Failure(FailureKind(body["kind"]), body["cause"], body["fix"], body["on_gpu"]) if body else None


@dataclass(frozen=True)
class Evidence:
    """What is known of an attempt that failed.

    Attributes:
        code: exit status; negative: killed by that signal; None: gone without a note.
        lines: the end of its log.
        usage: `max_rss_bytes`, `oom_kills` (of the kernel, while it ran), `wall_s`; what is not known is left out.
        memory_bytes: the task's memory limit, 0 for none.
        machine_bytes: memory of the machine, 0 if not known.
        overdue: in words, which limit of time ended it; empty for none.
        problem: what is wrong with the outputs of a command that ended well; empty for nothing.
        lost: it was started by an engine that has died.
    """

    code: int | None
    lines: Sequence[str] = ()
    usage: Mapping[str, Any] = field(default_factory=dict)
    memory_bytes: int = 0
    machine_bytes: int = 0
    overdue: str = ""
    problem: str = ""
    lost: bool = False

    @property
    def signal(self) -> int:
        """The signal that killed the command or, as a shell tells it, a child of it; 0 for none."""
        code = self.code or 0
        number = -code if code < 0 else code - _SHELL_SIGNAL
        return number if 0 < number < signal.NSIG else 0

    @property
    def text(self) -> str:
        """The end of the log as one text."""
        return "\n".join(self.lines)


def classify(seen: Evidence) -> Failure:
    """Finds the class of a failure, its cause and the likely fix."""
    if seen.overdue:
        return Failure(FailureKind.TIMEOUT, seen.overdue, "give it more time (kubernetes.set_timeout) or less to do")
    if seen.problem:
        return _bad_outputs(seen.problem)
    if seen.code is None:
        return _gone(seen)
    if seen.code == MENDABLE_EXIT:
        return _by_message(FailureKind.BAD_DATA, seen, "mend the settings or the data that the message names")
    if seen.code == TIMED_OUT_EXIT:
        return _by_message(FailureKind.TIMEOUT, seen, "give it more time or less to do")
    if seen.code == UNREACHABLE_EXIT:
        return Failure(FailureKind.UNREACHABLE, _cause(seen), "nothing, if the service that the message names is back")
    if _NO_SPACE.search(seen.text):
        return Failure(FailureKind.DISK_FULL, _cause(seen), "free space on the disk that the message names")
    if seen.signal:
        return _killed(seen)
    if _NO_MEMORY.search(seen.text):
        return _out_of_memory(seen, bool(_ON_GPU.search(seen.text)))
    return Failure(FailureKind.BUG, _cause(seen), _fix_of_bug(seen.code))


def _bad_outputs(problem: str) -> Failure:
    fix = "write every declared output as its type says; see the executor contract in docs/formats.md"
    return Failure(FailureKind.BUG, problem, fix)


def _by_message(kind: FailureKind, seen: Evidence, usual_fix: str) -> Failure:
    """The message itself; by our own rule for errors, what stands after its last semicolon mends it."""
    said = re.sub(r"^(error|seamline): ", "", _last_error(seen))
    cause, _, fix = said.rpartition("; ")
    if not cause.strip() or not fix.strip():
        cause, fix = said or ended_how(seen.code), usual_fix
    return Failure(kind, _shortened(cause), _shortened(fix))


def _gone(seen: Evidence) -> Failure:
    cause = "lost with the engine that started it" if seen.lost else "its process is gone and left no exit status"
    return Failure(FailureKind.PREEMPTED, cause, "nothing, if the machine or the engine was restarted")


def _killed(seen: Evidence) -> Failure:
    if seen.signal == signal.SIGKILL:
        why = _why_no_memory(seen)
        if why:
            return _out_of_memory(seen, False, why)
    elif seen.signal not in _FROM_OUTSIDE:
        return Failure(FailureKind.BUG, _cause(seen), "look for a crash in native code: a library, a driver, a kernel")
    return Failure(FailureKind.PREEMPTED, _cause(seen), "nothing; if it happens again, find out who sends the signal")


def _why_no_memory(seen: Evidence) -> str:
    """What speaks for the kernel having killed it for its memory; empty when nothing does."""
    used = float(seen.usage.get("max_rss_bytes", 0))
    if seen.usage.get("oom_kills", 0) > 0:
        return "the kernel counted a process that it killed for memory"
    for limit, whose in ((seen.memory_bytes, "its limit of"), (seen.machine_bytes, "the machine's")):
        if limit and used >= NEAR_LIMIT * limit:
            return f"it used {_gib(used)} of {whose} {_gib(limit)}"
    if not seen.usage and seen.code == _SHELL_SIGNAL + signal.SIGKILL:
        return "exit code 137 of a container mostly means so"
    return ""


def _out_of_memory(seen: Evidence, on_gpu: bool, why: str = "") -> Failure:
    cause = f"out of memory: {_cause(seen)}" + (f" ({why})" if why else "")
    fix = "raise its memory limit, run less beside it, or lower the batch size or the workers"
    if on_gpu:
        fix = "lower the batch size or the image size, or take a GPU with more memory"
    return Failure(FailureKind.OUT_OF_MEMORY, cause, fix, on_gpu)


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


def _cause(seen: Evidence) -> str:
    """How it ended and, where its log has one, the message of the error that ended it."""
    how, said = ended_how(seen.code), _last_error(seen)
    return _shortened(f"{how}: {said}") if said else how


def _last_error(seen: Evidence) -> str:
    return next((line.strip() for line in reversed(seen.lines) if _ERROR_LINE.match(line.strip())), "")


def _shortened(text: str) -> str:
    """Leaves out the middle of a long line: our own errors say at the end how to mend them."""
    if len(text) <= MAX_CAUSE:
        return text
    end = MAX_CAUSE // 3
    return f"{text[: MAX_CAUSE - end - 3]} … {text[-end:]}"


def ended_how(code: int | None) -> str:
    """An exit status in words; empty when it succeeded."""
    if code is None:
        return "its process is gone and left no exit status"
    if code >= 0:
        return f"exit code {code}" if code else ""
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _fix_of_bug(code: int) -> str:
    if code == 127:
        return "install the program that the command names, or mend the command"
    if code == 126:
        return "make the program that the command names executable"
    return "read the last lines of the log, mend the code, and retry the run"

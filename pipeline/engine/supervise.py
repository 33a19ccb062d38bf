"""Runs one task's command and leaves a note of how it ended, so that the exit status survives the engine's death.

Started by launch.ProcessLauncher as `python -I -S supervise.py DIRECTORY`, in its own session; standard library only,
no package imports. It waits for one byte on stdin: the engine sends it once the start is journalled, and if the engine
dies before, stdin ends and the command never runs. In DIRECTORY: `job.json` (command), `log` (output), `exit.json`.

The log is bounded: its first 64 MiB are kept as they are; of what follows only `::progress` and `::metric` lines, and
the last MiB. The log itself says where something is left out.
"""

import contextlib
import ctypes
import glob
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import Any

HEAD_BYTES = int(os.environ.get("SEAMLINE_LOG_BYTES") or 64 << 20)
NOTE_BYTES = 512
TAIL_BYTES = min(1 << 20, HEAD_BYTES)
SAID_BYTES = HEAD_BYTES // 4
_LIMIT_REACHED = (
    b"\nseamline: the log has reached its limit; only progress, metrics and its end are kept from here on\n"
)
_CHUNK_BYTES = 1 << 18
_MAX_LINE = 1 << 14
_SAID = re.compile(rb"^::(?:progress|metric) .*\n", re.MULTILINE)
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_KILLED_FIRST = b"500"  # when memory runs out, the kernel takes the command, not the engine
_DRAIN_S = 2.0
_END_S = 5.0


def main(directory: str) -> None:
    """Waits for the go, runs the command, ends whatever it left behind, writes the note."""
    # A handler that does nothing, not SIG_IGN: the command gets the default back, and this process outlives it.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    if not sys.stdin.buffer.read(1):
        return
    with open(os.path.join(directory, "job.json"), encoding="utf-8") as stream:
        command = json.load(stream)["command"]
    adopt_orphans()
    begun, kills = time.monotonic(), oom_kills()
    log = Log(os.path.join(directory, "log"))
    code = run(command, log)
    log.close()
    usage = used() | {"wall_s": round(time.monotonic() - begun, 3)}
    if kills is not None:
        usage["oom_kills"] = (oom_kills() or 0) - kills
    leave_note(directory, code, usage)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.killpg(0, signal.SIGKILL)


class Log:
    """The log of a command, bounded. A disk that is full costs lines, not the command's life.

    `already`: this many bytes of it are there, from a copy of the same output that was cut off; they are left out.
    """

    def __init__(self, path: str, already: int = 0) -> None:
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError:
            self._descriptor = os.open(os.devnull, os.O_WRONLY)
        self._room = HEAD_BYTES
        self._said_room = SAID_BYTES
        self._line = b""
        self._tail = bytearray()
        self._left_out = 0
        self._unwritten = 0
        self._already = already

    def write(self, chunk: bytes) -> None:
        """Takes a piece of output."""
        if self._room:
            head, chunk = chunk[: self._room], chunk[self._room :]
            self._room -= len(head)
            self._put(head)
            self._line = head[head.rfind(b"\n") + 1 :][:_MAX_LINE]  # may go on beyond the limit
        if chunk:
            self._overflow(chunk)

    def close(self) -> None:
        """Adds the end of the output, if the limit was passed."""
        if self._tail:
            end = bytes(self._tail[-TAIL_BYTES:])
            left_out = self._left_out + len(self._tail) - len(end)
            self._put(b"seamline: %d bytes are left out; the end follows\n" % left_out + _SAID.sub(b"", end + b"\n"))
        if self._unwritten:
            self._put(b"seamline: %d bytes could not be written: the disk was full\n" % self._unwritten)
        self.leave()

    def leave(self) -> None:
        """Stops in the middle; another Log may go on."""
        os.close(self._descriptor)

    def _overflow(self, chunk: bytes) -> None:
        if not self._tail:
            self._put(_LIMIT_REACHED)
        text = self._line + chunk
        whole = text.rfind(b"\n") + 1
        self._line = text[whole:][:_MAX_LINE]
        if b"::" in text[:whole]:
            self._pass_on(b"".join(_SAID.findall(text[:whole])))
        self._tail += chunk
        if len(self._tail) > 2 * TAIL_BYTES:
            self._left_out += len(self._tail) - TAIL_BYTES
            del self._tail[:-TAIL_BYTES]
        with contextlib.suppress(OSError):
            os.utime(self._descriptor)  # a sign of life for whoever watches for silence

    def _pass_on(self, said: bytes) -> None:
        if len(said) <= self._said_room:
            self._said_room -= len(said)
            self._put(said)

    def _put(self, text: bytes) -> None:
        text, self._already = text[self._already :], max(0, self._already - len(text))
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
        except OSError:
            self._unwritten += len(text)


def run(command: list[str], log: Log) -> int:
    """Runs the command; 127 when it cannot be started, negative signal number when it was killed."""
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in a word
        log.write(f"seamline: cannot start {command[0] if command else 'an empty command'}: {error}\n".encode())
        return 127
    offer_to_the_kernel(child.pid)
    pump = threading.Thread(target=copy, args=(child.stdout, log), daemon=True)
    pump.start()
    code = child.wait()
    end_descendants()
    pump.join(_DRAIN_S)  # ends with the last writer; where one cannot be ended, without it
    return code


def copy(pipe: Any, log: Log) -> None:
    """Copies output to the log as it comes."""
    while chunk := os.read(pipe.fileno(), _CHUNK_BYTES):
        log.write(chunk)


def adopt_orphans() -> None:
    """Whatever the command leaves behind, in whatever session, becomes a child of this process (Linux)."""
    try:
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):  # another system: only the session is ended
        return


def offer_to_the_kernel(pid: int) -> None:
    """Makes the command the first that is killed when memory runs out."""
    try:
        with open(f"/proc/{pid}/oom_score_adj", "wb", buffering=0) as stream:
            stream.write(_KILLED_FIRST)
    except OSError:
        return


def end_descendants() -> None:
    """Kills what the command left behind, and waits for it."""
    give_up = time.monotonic() + _END_S
    while time.monotonic() < give_up:
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


def children() -> list[int]:
    """Pids of this process's children, where the kernel tells them."""
    found: list[int] = []
    for path in glob.glob("/proc/self/task/*/children"):
        try:
            with open(path, encoding="ascii") as stream:
                found += map(int, stream.read().split())
        except OSError:  # the thread that copies the log has just ended; its children, if any, are another's now
            continue
    return found


def oom_kills() -> int | None:
    """How often the kernel has killed for want of memory since it started; None where it does not say."""
    try:
        with open("/proc/vmstat", encoding="ascii") as stream:
            return next((int(line.split()[1]) for line in stream if line.startswith("oom_kill ")), None)
    except OSError:
        return None


def used() -> dict[str, Any]:
    """What the command and its children used, as far as they have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    return {"max_rss_bytes": spent.ru_maxrss * unit, "cpu_s": round(spent.ru_utime + spent.ru_stime, 3)}


def leave_note(directory: str, code: int, usage: dict[str, Any]) -> None:
    """Writes the note aside, to disk, then under its name: it is there whole or not at all.

    The engine has reserved its space. If there is none even so, it waits: without the note the work would be repeated.
    """
    path = os.path.join(directory, "exit.json")
    note = json.dumps({"code": code, "ended": time.time(), "usage": usage}).ljust(NOTE_BYTES).encode()
    while True:
        try:
            with open(path + ".new", "r+b" if os.path.exists(path + ".new") else "wb") as stream:
                stream.write(note)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(path + ".new", path)
            return
        except OSError:
            if not os.path.isdir(directory):  # the state folder was removed: nobody waits for the note
                return
            time.sleep(1.0)


if __name__ == "__main__":
    main(sys.argv[1])

"""Runs one task's command and leaves a note of how it ended, so that the exit status survives the engine's death.

Started by launch.ProcessLauncher as `python -I -S supervise.py DIRECTORY`, in its own session; standard library only,
no package imports. It waits for one byte on stdin: the engine sends it once the start is journalled, and if the engine
dies before, stdin ends and the command never runs. In DIRECTORY: `job.json` (command), `log` (output), `exit.json`.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time


def main(directory: str) -> None:
    """Waits for the go, runs the command, writes the note, ends whatever the command left behind."""
    # A handler that does nothing, not SIG_IGN: the command gets the default back, and this process outlives it.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    if not sys.stdin.buffer.read(1):
        return
    with open(os.path.join(directory, "job.json"), encoding="utf-8") as stream:
        command = json.load(stream)["command"]
    with open(os.path.join(directory, "log"), "ab", buffering=0) as log:
        code = run(command, log.fileno())
    leave_note(directory, code)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.killpg(0, signal.SIGKILL)


def run(command: list[str], log: int) -> int:
    """Runs the command; 127 when it cannot be started, negative signal number when it was killed."""
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    except OSError as error:
        os.write(log, f"seamline: cannot start {command[0] if command else 'an empty command'}: {error}\n".encode())
        return 127
    return child.wait()


def leave_note(directory: str, code: int) -> None:
    """Writes the note aside, to disk, then under its name: it is there whole or not at all."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    usage = {"max_rss_bytes": used.ru_maxrss * unit, "cpu_s": round(used.ru_utime + used.ru_stime, 3)}
    path = os.path.join(directory, "exit.json")
    with open(path + ".new", "w", encoding="utf-8") as stream:
        json.dump({"code": code, "ended": time.time(), "usage": usage}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main(sys.argv[1])

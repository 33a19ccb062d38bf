"""Executes one run with a dispatcher, as a server does, and kills itself at one point. A script for the kill matrix.

A point is a place in the engine's work at which it can die: before and after every transaction, before and in every
write of a file, around every start of a process. They are found by watching (the journal's listener, Python's audit
events), so that an engine that does something new gets new points by itself.

Environment: STATE (folder), IR (file), KILL_AT (name of a point, or empty), POINTS (gets every point passed, or
empty), STOP_AT (line of the journal after which somebody asks to stop the run, or empty), STOP_MARK (a file made then).
"""

import collections
import contextlib
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.engine import launch, retries, schema
from pipeline.engine.budget import Budget
from pipeline.engine.database import Database, Journal
from pipeline.engine.dispatch import Dispatcher
from pipeline.engine.launch import Job, ProcessLauncher
from pipeline.engine.records import About, Event
from pipeline.engine.runner import Engine
from pipeline.engine.states import RUN_ENDED, RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace

STATE = os.environ["STATE"]
GIVE_UP_S = 60.0
HALF = b'{"outp'
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_FILE_EVENTS = {"os.rename": "the rename of", "os.remove": "the removal of", "shutil.rmtree": "the removal of"}

whole_writing = Database.writing
whole_migrate = schema.migrate


class Points:
    """Lists the points of one life, and dies at the chosen one."""

    def __init__(self, deadly: str, record: str) -> None:
        self._deadly = deadly
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if record else -1
        self._passed: collections.Counter[str] = collections.Counter()
        self._events = 0

    def count_event(self) -> None:
        """Dies at the N-th line of the journal, whatever it is, when the point is called `event N`."""
        self._events += 1
        if self._deadly == f"event {self._events}":
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, name: str) -> None:
        """Passes a point."""
        if self.reached(name):
            os.kill(os.getpid(), signal.SIGKILL)

    def reached(self, name: str) -> bool:
        """Whether this is the place to die. What is passed again is called `name #2`, and so on."""
        self._passed[name] += 1
        numbered = name if self._passed[name] == 1 else f"{name} #{self._passed[name]}"
        if self._record >= 0:
            os.write(self._record, f"{numbered}\n".encode())
        return numbered == self._deadly


opened: list[Store] = []
point = Points(os.environ.get("KILL_AT", ""), os.environ.get("POINTS", ""))


def short(path: Any) -> str:
    """A path below the state folder, without what differs from run to run."""
    return _DIGEST.sub("DIGEST", _RUN_ID.sub("RUN", os.path.relpath(os.fsdecode(path), STATE)))


def on_audit(event: str, args: tuple[Any, ...]) -> None:
    """Before every step in the file system and before every start of a process."""
    if event == "subprocess.Popen" and _is_ours(args[1][-1]):
        point(f"process: before the start of {short(args[1][-1])}")
    elif not args or not _is_ours(args[0]):
        return
    elif event == "open" and isinstance(args[2], int) and args[2] & _WRITING:
        point(f"file: before {short(args[0])} is written")
        if str(args[0]).endswith((".json", ".new")) and point.reached(f"file: {short(args[0])} is half written"):
            _write_half(args[0])
    elif event in _FILE_EVENTS and os.path.lexists(args[0]):
        point(f"file: before {_FILE_EVENTS[event]} {short(args[0])}")
    elif event == "os.mkdir" and not os.path.lexists(args[0]) and os.path.isdir(os.path.dirname(args[0])):
        point(f"file: before the folder {short(args[0])} is made")


def _is_ours(path: Any) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(STATE + os.sep)


def _write_half(path: Any) -> None:
    """What a kill in the middle of a write leaves."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, HALF)
    os.kill(os.getpid(), signal.SIGKILL)


def event_name(event: Event) -> str:
    """For instance `task for-loop-1(0)/make SUCCEEDED`."""
    said = event.detail.get("state") or ("begun" if event.kind == "attempt" else "")
    words = (event.kind, event.key, str(event.detail.get("number", "")), str(said))
    return " ".join(word for word in words if word)


def on_event(event: Event) -> None:
    """After every commit, for every line of the journal."""
    if event.sequence:
        point.count_event()
        point(f"journal: after {event_name(event)}")
        if event_name(event) == os.environ.get("STOP_AT") and not os.path.exists(os.environ["STOP_MARK"]):
            Path(os.environ["STOP_MARK"]).touch()
            opened[0].request_stop(event.run_id, time.time())


@contextlib.contextmanager
def watched_writing(self: Database) -> Iterator[Journal]:
    """A transaction that may die before its commit."""
    with whole_writing(self) as journal:
        yield journal
        point(
            f"commit: before {event_name(journal.events[0]) if journal.events else 'what has no line in the journal'}"
        )


def watched_migrate(connection: sqlite3.Connection) -> None:
    """The schema, which may die before its commit."""
    connection.set_trace_callback(lambda sql: point("commit: before the schema") if sql == "COMMIT" else None)
    whole_migrate(connection)
    connection.set_trace_callback(None)


class WatchedLauncher(ProcessLauncher):
    """Tells when a command has been prepared and when it has been released."""

    def start(self, job: Job) -> str:
        handle = super().start(job)
        point(f"process: after the start of {short(job.directory)}")
        return handle

    def release(self, handle: str) -> None:
        super().release(handle)
        point(f"process: after the release of {short(launch._read(handle)['directory'])}")


def watch() -> None:
    """Puts the points into the engine. Nothing else is changed but a wait."""
    Database.writing = watched_writing  # type: ignore[method-assign]
    schema.migrate = watched_migrate
    retries.PREEMPTED = replace(retries.PREEMPTED, backoff_s=0.01)  # nobody waits for a new machine
    launch._SUPERVISE = Path(__file__).with_name("kill_supervisor.py")
    sys.addaudithook(on_audit)


def main() -> None:
    """Makes the run unless an earlier life did, repeats it when it failed, and executes until it has ended."""
    watch()
    os.environ["ENGINE"] = str(os.getpid())
    Path(STATE).mkdir(exist_ok=True)
    store = Store.open(STATE)
    opened.append(store)
    store.listen(on_event)
    engine = Engine(store, WatchedLauncher(), budget=Budget(4, 1 << 33), on_event=on_event, pace=Pace(0.01, 1.0))
    run_id = engine.create_run(Path(os.environ["IR"]).read_text(), {}, about=About(run_key="the run"))
    if store.run(run_id).state in (RunState.FAILED, RunState.CANCELED):
        engine.retry(run_id)
    stopped, give_up = threading.Event(), time.monotonic() + GIVE_UP_S

    def sleep(seconds: float) -> None:
        Path(os.environ["ALIVE"]).touch()
        if store.run(run_id).state in RUN_ENDED or time.monotonic() > give_up:
            stopped.set()
        time.sleep(seconds)

    Dispatcher(engine, store, sleep).run(stopped)
    print(store.run(run_id).state)


if __name__ == "__main__":
    main()

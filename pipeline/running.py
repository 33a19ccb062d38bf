"""Executing a run in the foreground: live progress, Ctrl-C, and what is said when it has ended."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console

from pipeline import local, score, show, words
from pipeline.engine.reader import Reader
from pipeline.engine.records import Run, Task
from pipeline.engine.runner import Engine
from pipeline.engine.states import RUN_ENDED, RunState, TaskState
from pipeline.engine.store import Store
from pipeline.errors import NotFound
from pipeline.live import LiveProgress
from pipeline.server import log_view

LOG_LINES_SHOWN = 15
FOLLOW_S = 0.3
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Outcome:
    """How a run stands.

    Attributes:
        run: the run.
        failed: its failed tasks, each with the last lines of its log.
        results: where its results lie, if it has any.
        judged: its submission against hidden answers, if the data set has them.
        executed, reused: how many tasks ran, and how many were taken over.
    """

    run: Run
    failed: tuple[tuple[Task, str], ...]
    results: local.Results | None
    judged: score.Result | None
    executed: int
    reused: int

    def text(self) -> str:
        """For people, on stdout."""
        run = self.run
        took = f" in {words.duration(run.ended - run.started)}" if run.ended and run.started else ""
        counts = f"{self.executed} tasks ran, {self.reused} reused"
        lines = [f"run {run.run_id[:8]} {words.run_word(run)}{took}: {counts}"]
        lines += [f"\n{task.label} failed: {task.reason}\n{tail}" for task, tail in self.failed]
        if self.judged:
            lines += ["", "against the hidden answers:", score.render(self.judged)]
        if self.results:
            lines += ["", *_told(self.results)]
        if run.state in (RunState.FAILED, RunState.CANCELED) or local.interrupted(run):
            lines += ["", f"seamline retry {run.run_id[:8]} goes on where it stopped"]
        if run.state is RunState.PENDING:
            lines += ["", f"seamline retry {run.run_id[:8]} starts it"]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "run_id": self.run.run_id,
            "state": str(self.run.state),
            "executed": self.executed,
            "reused": self.reused,
            "failed": [{"task": task.label, "reason": task.reason} for task, _ in self.failed],
            "submission": (self.results.submission or None) if self.results else None,
            "report": self.results.report if self.results else None,
            "scores": self.results.scores if self.results else None,
            "hidden_answers": score.as_json(self.judged) if self.judged else None,
        }


def execute(engine: Engine, state_dir: Path, run_id: str, as_json: bool) -> None:
    """Executes a prepared run, prints how it ended and exits with 1 if it did not succeed.

    Where a server executes the folder's runs, it is only watched: Ctrl-C ends the watching, not the run.
    """
    reader = Store.open(state_dir, read_only=True)
    with LiveProgress(state_dir, run_id, terminal()):
        state = _followed(reader, run_id) if engine.is_served() else _executed(engine, run_id)
    ended = outcome(reader, reader.run(run_id))
    click.echo(json.dumps(ended.as_json(), indent=2) if as_json else ended.text())
    if state is not RunState.SUCCEEDED:
        sys.exit(1)


def _executed(engine: Engine, run_id: str) -> RunState:
    with _signals(engine):
        return engine.execute(run_id)


def _followed(reader: Reader, run_id: str) -> RunState:
    """Waits until whoever executes the run has ended it."""
    try:
        while (state := reader.run(run_id).state) not in RUN_ENDED:
            time.sleep(FOLLOW_S)
    except KeyboardInterrupt:
        click.echo(f"the server goes on with run {run_id[:8]}; `seamline terminate {run_id[:8]}` stops it", err=True)
        sys.exit(130)
    return state


def outcome(reader: Reader, run: Run) -> Outcome:
    """Collects what there is to say about a run."""
    tasks = [task for task in reader.tasks(run.run_id) if task.is_leaf]
    found = local.results(reader, run.run_id)
    return Outcome(
        run=run,
        failed=tuple((t, _log_tail(reader, t)) for t in tasks if t.state is TaskState.FAILED),
        results=found,
        judged=_judged(found, Path(str(run.labels.get("answers") or ""))),
        executed=sum(t.state is TaskState.SUCCEEDED and not t.cached for t in tasks),
        reused=sum(t.cached for t in tasks),
    )


def _told(found: local.Results) -> Iterator[str]:
    if found.table:
        yield from (found.table, "")
    else:
        yield f"{found.headline.on if found.headline else 'validation':<12} {show.score_in_words(found)}"
    if found.submission is not None:
        yield f"submission   {_from_here(found.submission) or 'none: the data asks no questions'}"
    yield f"report       {_from_here(found.report)}"


def _judged(found: local.Results | None, answers: Path) -> score.Result | None:
    """The submission against hidden answers, where both are on this machine."""
    submission = Path(found.submission) if found and found.submission else None
    if not submission or not submission.is_file() or not answers.is_file():
        return None
    return score.score(answers, submission, partial=True)


def _from_here(address: str) -> str:
    """A path below the current folder as people would type it; anything else as it is."""
    here = Path.cwd()
    return str(Path(address).relative_to(here)) if Path(address).is_relative_to(here) else address


def terminal() -> Console:
    """Where progress goes: stderr, so that stdout holds results only."""
    return Console(stderr=True) if sys.stderr.isatty() else Console(stderr=True, width=160)


@contextmanager
def _signals(engine: Engine) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal end the tasks and leave a run that `seamline retry` goes on with.

    Twice ends the tasks at once. What is ignored, as SIGHUP is under nohup, stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        engine.stop()

    heard = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_tail(reader: Reader, task: Task) -> str:
    try:
        path = reader.log_path(task.run_id, task.key)
    except NotFound:
        return ""
    return "\n".join(f"  | {line}" for line in log_view.ending(path, LOG_LINES_SHOWN))

"""Executing a run in the foreground: live progress, Ctrl-C, and what is said when it has ended."""

import json
import signal
import sys
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
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.store import Store
from pipeline.errors import NotFound
from pipeline.live import LiveProgress

LOG_LINES_SHOWN = 15


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
            own = show.score_in_words(self.results)
            lines += [
                "",
                f"validation   {own}",
                f"submission   {_from_here(self.results.submission)}",
                f"report       {_from_here(self.results.report)}",
            ]
        if self.run.state in (RunState.FAILED, RunState.CANCELED):
            lines += ["", f"seamline retry {self.run.run_id[:8]} goes on where it stopped"]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "run_id": self.run.run_id,
            "state": str(self.run.state),
            "executed": self.executed,
            "reused": self.reused,
            "failed": [{"task": task.label, "reason": task.reason} for task, _ in self.failed],
            "submission": self.results.submission if self.results else None,
            "report": self.results.report if self.results else None,
            "scores": self.results.scores if self.results else None,
            "hidden_answers": score.as_json(self.judged) if self.judged else None,
        }


def execute(engine: Engine, state_dir: Path, run_id: str, as_json: bool) -> None:
    """Executes a prepared run, prints how it ended and exits with 1 if it did not succeed."""
    with _signals(engine), LiveProgress(state_dir, run_id, terminal()):
        state = engine.execute(run_id)
    reader = Store.open(state_dir, read_only=True)
    ended = outcome(reader, reader.run(run_id))
    click.echo(json.dumps(ended.as_json(), indent=2) if as_json else ended.text())
    if state is not RunState.SUCCEEDED:
        sys.exit(1)


def outcome(reader: Reader, run: Run) -> Outcome:
    """Collects what there is to say about a run."""
    tasks = [task for task in reader.tasks(run.run_id) if task.is_leaf]
    found = local.results(reader, run.run_id)
    answers = Path(str(run.labels.get("answers") or ""))
    return Outcome(
        run=run,
        failed=tuple((t, _log_tail(reader, t)) for t in tasks if t.state is TaskState.FAILED),
        results=found,
        judged=score.score(answers, Path(found.submission), partial=True) if found and answers.is_file() else None,
        executed=sum(t.state is TaskState.SUCCEEDED and not t.cached for t in tasks),
        reused=sum(t.cached for t in tasks),
    )


def _from_here(address: str) -> str:
    """A path below the current folder as people would type it; anything else as it is."""
    here = Path.cwd()
    return str(Path(address).relative_to(here)) if Path(address).is_relative_to(here) else address


def terminal() -> Console:
    """Where progress goes: stderr, so that stdout holds results only."""
    return Console(stderr=True) if sys.stderr.isatty() else Console(stderr=True, width=160)


@contextmanager
def _signals(engine: Engine) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the tasks and leave a run that `seamline retry` goes on with; twice ends them at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        engine.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
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
    lines = [line for line in path.read_text(errors="replace").splitlines() if not line.startswith("::")]
    return "\n".join(f"  | {line}" for line in lines[-LOG_LINES_SHOWN:])

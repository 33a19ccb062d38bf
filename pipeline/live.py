"""Live progress of a run in the terminal: a table that changes in place, or plain lines where there is no terminal.

A thread of its own looks at the store; the engine knows nothing about it.
"""

import threading
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline import words
from pipeline.engine.reader import Reader
from pipeline.engine.records import Task
from pipeline.engine.states import TASK_ENDED, RunState, TaskState
from pipeline.engine.store import Store

SECONDS_BETWEEN = 0.4
BAR_WIDTH = 24
STOPPING = "stopping: running tasks get a few seconds to end; Ctrl-C again ends them at once"


class LiveProgress:
    """Context manager: shows a run on `console` until the block ends."""

    def __init__(self, state_dir: Path, run_id: str, console: Console) -> None:
        self._state_dir, self._run_id, self._console = state_dir, run_id, console
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="live-progress", daemon=True)

    def __enter__(self) -> "LiveProgress":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        reader = Store.open(self._state_dir, read_only=True)
        typical = typical_seconds(reader)
        if self._console.is_terminal:
            self._watch_in_place(reader, typical)
        else:
            self._watch_by_line(reader)

    def _watch_in_place(self, reader: Reader, typical: dict[str, float]) -> None:
        started = time.time()
        with Live(console=self._console, refresh_per_second=4, transient=False) as live:
            while True:
                ended = self._ended.wait(SECONDS_BETWEEN)
                tasks = [t for t in reader.tasks(self._run_id) if t.is_leaf]
                picture = board(tasks, typical, started, time.time(), self._console.height)
                live.update(Group(picture, STOPPING) if self._stopping(reader) else picture)
                if ended:
                    return

    def _stopping(self, reader: Reader) -> bool:
        return reader.run(self._run_id).state is RunState.CANCELING

    def _watch_by_line(self, reader: Reader) -> None:
        told: dict[str, str] = {}
        started = time.time()
        stopping = False
        while True:
            ended = self._ended.wait(SECONDS_BETWEEN)
            if not stopping and self._stopping(reader):
                stopping = True
                self._console.print(STOPPING, highlight=False, soft_wrap=True)
            for task in reader.tasks(self._run_id):
                word = words.task_word(task)
                if task.is_leaf and told.get(task.key) != word and _is_news(task, word):
                    told[task.key] = word
                    self._console.print(line(task, word, time.time() - started), highlight=False, soft_wrap=True)
            if ended:
                return


def typical_seconds(reader: Reader) -> dict[str, float]:
    """How long tasks of each name took in the last runs, in seconds."""
    names = {task.name for run in reader.runs(limit=3) for task in reader.tasks(run.run_id) if task.is_leaf}
    expected = {name: reader.expected_seconds(name) for name in names}
    return {name: seconds for name, seconds in expected.items() if seconds}


def _is_news(task: Task, word: str) -> bool:
    """Waiting is no news, nor is what follows from somebody else's failure or stop."""
    return word not in ("waiting", "skipped", "stopped") or (word == "stopped" and task.attempts > 0)


def line(task: Task, word: str, elapsed: float) -> str:
    """One plain line about a task that changed its state."""
    took = f" in {words.duration(task.seconds)}" if word in ("succeeded", "failed") else ""
    reason = f": {task.reason}" if task.reason and word in ("failed", "skipped") else ""
    return f"{elapsed:6.0f} s  {words.SHAPES[word]} {task.label} {word}{took}{reason}"


def board(tasks: list[Task], typical: dict[str, float], started: float, now: float, height: int) -> RenderableType:
    """The whole picture: a headline with a bar and the time left, then the tasks that matter now."""
    done = sum(t.state in TASK_ENDED for t in tasks)
    left = words.seconds_left(tasks, typical, now)
    headline = Table.grid(padding=(0, 2))
    headline.add_row(
        f"{done} of {len(tasks)} tasks",
        ProgressBar(total=max(1, len(tasks)), completed=done, width=BAR_WIDTH),
        words.duration(now - started),
        "" if done == len(tasks) else "estimating time left" if left is None else f"about {words.duration(left)} left",
    )
    table = Table.grid(padding=(0, 2))
    for task in _visible(tasks, max(6, height - 4)):
        table.add_row(*_row(task, now))
    return Group(headline, table)


def _visible(tasks: list[Task], room: int) -> list[Task]:
    """Running and failed tasks always; then what ended last; then what waits first."""
    loud = [t for t in tasks if t.state in (TaskState.RUNNING, TaskState.FAILED)]
    ended = sorted((t for t in tasks if t.state in TASK_ENDED and t not in loud), key=lambda t: -t.ended)
    waiting = [t for t in tasks if t.state == TaskState.PENDING]
    chosen = {t.key for t in (loud + ended + waiting)[:room]}
    return [t for t in tasks if t.key in chosen]


def _row(task: Task, now: float) -> tuple[Text, str, RenderableType, str]:
    word = words.task_word(task)
    mark = Text(f"{words.SHAPES[word]} {word}", style=words.STYLES.get(word, ""))
    if task.state != TaskState.RUNNING:
        why = task.reason if word in ("failed", "skipped") else ""
        took = words.duration(task.seconds) if task.seconds and not task.cached else ""
        return mark, task.label, Text(why, overflow="ellipsis", no_wrap=True), took
    share = words.progress_share(task)
    if share is None:
        return mark, task.label, "", words.duration(now - task.started)
    said = f"{task.progress['done']:,} of {task.progress['total']:,} {task.progress.get('unit', '')}"
    bar = Table.grid(padding=(0, 1))
    bar.add_row(ProgressBar(total=1.0, completed=share, width=BAR_WIDTH), said)
    return mark, task.label, bar, words.duration(now - task.started)

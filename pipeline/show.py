"""Runs, tasks, plans and findings as tables for people. Every function returns something that rich prints."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from pipeline import words
from pipeline.engine.records import Run, Task
from pipeline.engine.rerun import Plan
from pipeline.finding import Finding
from pipeline.local import Results, interrupted

DOCTOR_STYLES = {"ok": "green", "missing": "bold red", "optional": "yellow"}


def runs(rows: Iterable[tuple[Run, str]]) -> Table:
    """Runs with a word about their score, newest first."""
    table = _table("run", "state", "pipeline", "started", ">took", "score")
    for run, score in rows:
        took = words.duration(run.ended - run.started) if run.ended and run.started else ""
        table.add_row(run.run_id[:8], run_state(run), run.name, _moment(run.created), took, score)
    return table


def run_state(run: Run) -> Text:
    """Shape and word of a run's state, and whether nobody executes it any more."""
    return _state(words.run_word(run)).append(", interrupted" if interrupted(run) else "")


def score_in_words(found: Results | None) -> str:
    """`mAP 0.871 (0.852 to 0.889)`, or nothing where nothing was measured."""
    headline = found.headline if found else None
    if not headline:
        return ""
    low_to_high = " ({:.3f} to {:.3f})".format(*headline.interval) if headline.interval else ""
    return f"{headline.name} {headline.value:.3f}{low_to_high}"


def tasks(rows: Iterable[Task]) -> Table:
    """Tasks of a run with the reason why each ran, was reused, skipped or failed."""
    table = _table("task", "state", ">took", ">attempts", "why")
    for task in rows:
        took = words.duration(task.seconds) if task.seconds and not task.cached else ""
        why = task.reason or task.note or task.explanation
        table.add_row(task.label, _state(words.task_word(task)), took, str(task.attempts or ""), why)
    return table


def plan(what: Plan) -> Table | Text:
    """What a retry or rerun will do, before it does it."""
    if not what.rows:
        return Text("the run has not been started yet: all its tasks will run")
    table = _table("task", "action", ">usually takes", "because")
    for row in what.rows:
        style = {"run": "cyan", "reuse": "dim"}.get(row.action, "")
        usual = words.duration(row.seconds) if row.seconds and row.action == "run" else ""
        table.add_row(row.label, Text(row.action, style=style), usual, row.reason)
    return table


def findings(rows: Sequence[Finding]) -> Table:
    """What the doctor found."""
    table = _table("looked at", "state", "found", "fix")
    for row in rows:
        # As texts: `pip install -e '.[gpu]'` is no markup.
        table.add_row(row.name, Text(row.state, style=DOCTOR_STYLES[row.state]), Text(row.detail), Text(row.fix))
    return table


def run_as_json(run: Run, members: Iterable[Task]) -> dict[str, Any]:
    """A run and its tasks for machines; times are seconds since 1970."""
    return {
        "run_id": run.run_id,
        "name": run.name,
        "state": str(run.state),
        "interrupted": interrupted(run),
        "reason": run.reason,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "labels": dict(run.labels),
        "parameters": dict(run.parameters),
        "tasks": [task_as_json(task) for task in members if task.is_leaf],
    }


def task_as_json(task: Task) -> dict[str, Any]:
    """A task for machines."""
    return {
        "key": task.key,
        "label": task.label,
        "state": str(task.state),
        "cached": task.cached,
        "reason": task.reason,
        "note": task.note,
        "explanation": task.explanation,
        "attempts": task.attempts,
        "seconds": task.seconds,
        "outputs": dict(task.outputs.parameters),
    }


def plan_as_json(what: Plan) -> dict[str, Any]:
    """A plan for machines; `seconds` is how long a task usually takes, null when it never ran."""
    rows = [
        {"key": row.key, "label": row.label, "action": row.action, "reason": row.reason, "seconds": row.seconds}
        for row in what.rows
    ]
    return {"run_id": what.run_id, "tasks": rows, "seconds": what.seconds}


def _table(*columns: str) -> Table:
    """A quiet table; a column that begins with `>` is right-aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    return table


def _state(word: str) -> Text:
    return Text(f"{words.SHAPES[word]} {word}", style=words.STYLES.get(word, ""))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else ""

"""Implements pipeline.server.domain.results."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.console import board
from pipeline.engine.reader import Reader
from pipeline.engine.records import Run, Task
from pipeline.engine.states import TaskState
from pipeline.recipe import GROUPS
from pipeline.server.domain.results import Board, Score

REPORT = "report"  # the task's key, and the name of its output parameter
PAGE = "report.html"


class LocalResults:
    """See pipeline.server.domain.results.Results."""

    def headline(self, reader: Reader, run: Run) -> Score | None:
        """See Results. It stands in the metrics that the report's task gave, so no file is opened."""
        reported = reader.task_at(run.run_id, REPORT)
        return board.score_in(reported, "map", "mAP on validation pictures") if reported else None

    def rounds(self, run: Run) -> Sequence[str]:
        """See Results."""
        given = run.parameters.get("rounds")
        items = given if isinstance(given, list) else []
        return [str(item["name"]) for item in items if isinstance(item, dict) and item.get("name")]

    def groups(self, run: Run) -> Sequence[str]:
        """See Results."""
        return list(GROUPS) if {"attributes", "models", "rounds"} <= set(run.parameters) else []

    def report(self, reader: Reader, run: Run) -> Path | None:
        """See Results."""
        reported = reader.task_at(run.run_id, REPORT)
        page = _page_of(reported) if reported and reported.state is TaskState.SUCCEEDED else None
        return page if page and page.is_file() else None

    def board(self, reader: Reader, run: Run, tasks: Sequence[Task]) -> Board | None:
        """See Results."""
        return board.of_tasks(reader, run.run_id, tasks)


def _page_of(reported: Task) -> Path | None:
    """The reference's own page; None when it lies in a bucket."""
    where = str(reported.outputs.parameters.get(REPORT, ""))
    return Path(where) / PAGE if where.startswith("/") else None

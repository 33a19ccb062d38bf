"""Implements pipeline.server.domain.results."""

from collections.abc import Sequence
from pathlib import Path

from components.artifacts import storage
from pipeline.console import board
from pipeline.engine.reader import Reader
from pipeline.engine.records import Run, Task
from pipeline.engine.states import TaskState
from pipeline.recipe_steps import PIPELINES, Pipeline
from pipeline.server.domain.results import Board, Score

REPORT = "report"  # the task's key, and the name of its output parameter
PAGE = "report.html"
# Task that judges the run -> its metric, and what people call it.
_HEADLINES = {
    REPORT: ("map", "mAP on validation pictures"),
    "detect-test": ("ap50", "AP50 on test pictures"),
    "study": ("", ""),  # many models, and no number that stands for all
}


class LocalResults:
    """See pipeline.server.domain.results.Results."""

    def headline(self, reader: Reader, run: Run) -> Score | None:
        """See Results. It stands in the metrics that the last task gave, so no file is opened."""
        reported = _last_task(reader, run)
        return board.score_in(reported, *_HEADLINES[reported.name]) if reported else None

    def rounds(self, run: Run) -> Sequence[str]:
        """See Results."""
        given = run.parameters.get("rounds")
        items = given if isinstance(given, list) else []
        return [str(item["name"]) for item in items if isinstance(item, dict) and item.get("name")]

    def groups(self, run: Run) -> Sequence[str]:
        """See Results."""
        known = set(run.parameters)
        fitting = [one for one in PIPELINES.values() if {one.data, *one.loops, "data_root"} <= known]
        best = max(fitting, key=lambda one: _groups_seen(one, known), default=None)
        return list(best.groups) if best else []

    def report(self, reader: Reader, run: Run) -> Path | None:
        """See Results."""
        reported = _last_task(reader, run)
        page = _page_of(reported) if reported and reported.state is TaskState.SUCCEEDED else None
        return page if page and page.is_file() else None

    def board(self, reader: Reader, run: Run, tasks: Sequence[Task]) -> Board | None:
        """See Results."""
        return board.of_tasks(reader, run.run_id, tasks)


def _last_task(reader: Reader, run: Run) -> Task | None:
    """The task that says how good the run's models are."""
    return next((task for key in _HEADLINES if (task := reader.task_at(run.run_id, key))), None)


def _page_of(reported: Task) -> Path | None:
    """Its page, in a reference or an artifact of its own; None when it lies in a bucket."""
    page = reported.outputs.artifacts.get("page", ())
    where = page[0].uri if page else storage.join(str(reported.outputs.parameters.get(REPORT, "")), PAGE)
    return Path(where) if where.startswith("/") else None


def _groups_seen(pipeline: Pipeline, parameters: set[str]) -> int:
    return sum(any(name.startswith(f"{group}_") for name in parameters) for group in pipeline.groups)

"""A run of our pipeline as a table: attributes down, stages across, a lane for each model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.engine.reader import Reader
from pipeline.engine.records import Task
from pipeline.engine.states import TaskState
from pipeline.server.domain.results import Board, Cell, Score, Stage

MEASURE = "average precision (AP) on validation pictures"
ATTRIBUTE_LOOP = "attribute"


@dataclass(frozen=True)
class _Column:
    """A stage with the metric that its task reports, and the learning curve that shows it while it runs."""

    stage: Stage
    metric: str = ""
    curve: str = ""


# Task name -> column, in the order of the pipelines (pipeline/dag.py, pipeline/study_dag.py).
_COLUMNS: Mapping[str, _Column] = {
    column.stage.name: column
    for column in (
        _Column(Stage("preprocess", "preprocess")),
        _Column(Stage("train-round1", "round 1"), "valid_map", "valid_map"),
        _Column(Stage("train-round2", "round 2"), "valid_map", "valid_map"),
        _Column(Stage("predict-teachers", "predict"), "ap"),
        _Column(Stage("predict", "predict"), "ap"),
        _Column(Stage("pseudo-label", "pseudo-label")),
        _Column(Stage("train-student", "student"), "valid_map", "valid_map"),
        _Column(Stage("predict-students", "predict"), "ap"),
        _Column(Stage("ensemble", "ensemble"), "ap"),
    )
}
_BEFORE, _AFTER = ("ingest",), ("report", "promote", "study")


def of_tasks(reader: Reader, run_id: str, tasks: Sequence[Task]) -> Board | None:
    """The board of a run; None for a pipeline that is not ours, or one that has not begun."""
    loops = {t.key for t in tasks if t.kind == "loop" and t.name == ATTRIBUTE_LOOP and not t.parent}
    names = {t.name for t in tasks if not t.parent}
    if not loops or not set(_BEFORE) <= names:
        return None
    attributes = {t.key: t.label for t in tasks if t.kind == "iteration" and t.parent in loops}
    reported = next((t for t in tasks if t.name == "report" and not t.parent), None)
    inside = [t for t in tasks if t.is_leaf and t.name in _COLUMNS and t.parent]
    cells = [_cell(reader, run_id, task, attributes, reported) for task in inside]
    present = {cell.stage for cell in cells}
    return Board(
        stages=[column.stage for name, column in _COLUMNS.items() if name in present],
        attributes=list(attributes.values()),
        cells=cells,
        before=[t for t in tasks if t.name in _BEFORE and not t.parent],
        after=[t for t in tasks if t.name in _AFTER and not t.parent],
        measure=MEASURE,
    )


def score_in(task: Task, metric: str, name: str, artifact: str = "metrics") -> Score | None:
    """A metric that a task gave, with its interval where it gave one."""
    found = task.outputs.artifacts.get(artifact, ())
    values = found[0].metadata if found else {}
    if not isinstance(values.get(metric), int | float):
        return None
    return Score(name, values[metric], values.get(f"{metric}_low"), values.get(f"{metric}_high"))


def _cell(reader: Reader, run_id: str, task: Task, attributes: Mapping[str, str], reported: Task | None) -> Cell:
    attribute = attributes.get(task.key.partition("/")[0], "")
    between = task.label.removeprefix(attribute + "/").rpartition("/")[0]
    column = _COLUMNS[task.name]
    score = score_in(task, column.metric, "AP") if column.metric else None
    if task.state is TaskState.RUNNING and column.curve:
        score = _latest(reader, run_id, task, column.curve)
    if column.stage.name == "ensemble" and reported:  # the report knows its interval, and measures it again
        score = score_in(reported, f"{attribute}.ap", "AP") or score
    return Cell(attribute, task.name, between, task, score, _said(task))


def _latest(reader: Reader, run_id: str, task: Task, curve: str) -> Score | None:
    """The newest point of a learning curve, while its task runs."""
    points = [
        p.values[curve] for p in reader.metrics(run_id, task.key) if p.attempt == task.attempts and curve in p.values
    ]
    return Score("AP so far", points[-1]) if points else None


def _said(task: Task) -> str:
    found = task.outputs.artifacts.get("pseudo_report", ())
    rows = found[0].metadata.get("rows") if found else None
    return "" if rows is None else f"{rows:,} labelled"

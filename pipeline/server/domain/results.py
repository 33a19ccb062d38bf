"""What came out of a run of our own pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.engine.reader import Reader
from pipeline.engine.records import Run, Task


@dataclass(frozen=True)
class Score:
    """A metric with its 95 % bootstrap interval, all from 0 to 1. `value` None: not measured."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Stage:
    """A column of the board. `name` is the task's, `title` what stands above the column."""

    name: str
    title: str


@dataclass(frozen=True)
class Cell:
    """One task on the board: which attribute (row), stage (column) and model (lane; empty where there is none).

    `said` is what it has to say besides a score, for instance how many pictures it labelled.
    """

    attribute: str
    stage: str
    model: str
    task: Task
    score: Score | None = None
    said: str = ""


@dataclass(frozen=True)
class Board:
    """A run of our own pipeline as a table.

    Attributes:
        stages: columns in order, those that the run has: preprocess, round 1, round 2, predict, ...
        attributes: rows in order.
        cells: what stands in the table.
        before: tasks above the table (ingest).
        after: tasks below it (report, promote).
        measure: what the scores in the cells are, in words.
    """

    stages: Sequence[Stage]
    attributes: Sequence[str]
    cells: Sequence[Cell]
    before: Sequence[Task]
    after: Sequence[Task]
    measure: str = ""


class Results(Protocol):
    """What came out of runs; each answers None or nothing for a pipeline that is not ours."""

    def headline(self, reader: Reader, run: Run) -> Score | None:
        """The run's one number, mAP of validation; cheap enough for 50 rows of a list."""

    def rounds(self, run: Run) -> Sequence[str]:
        """Names of the rounds of data that the run learns from, oldest first."""

    def groups(self, run: Run) -> Sequence[str]:
        """What the names of its parameters begin with, in the order of its steps: `ingest`, `round1`, ..."""

    def report(self, reader: Reader, run: Run) -> Path | None:
        """The report's page on this machine."""

    def board(self, reader: Reader, run: Run, tasks: Sequence[Task]) -> Board | None:
        """The run as a table; `tasks` are its tasks and groups."""

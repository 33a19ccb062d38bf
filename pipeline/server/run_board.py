"""The board as rows and lanes of a table: what the template needs to write it down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline import words
from pipeline.server.domain.results import Board, Cell, Score, Stage
from pipeline.server.run_facts import attribute_title, overall


@dataclass(frozen=True)
class Lane:
    """One model in one row. `cells` by stage; a stage that has no model lies over all lanes and is not in here."""

    model: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Row:
    """One attribute.

    Attributes:
        attribute: its name.
        title: as people read it: without the data set's ending and underscores.
        lanes: one a model; at least one.
        shared: cells of stages without a model, by stage.
        word: the state of all of it.
        done: tasks that have ended.
        total: its tasks.
    """

    attribute: str
    title: str
    lanes: Sequence[Lane]
    shared: Mapping[str, Cell]
    word: str
    done: int
    total: int

    @property
    def score(self) -> Score | None:
        """The last score that holds for all models together: the ensemble's."""
        return next((cell.score for cell in reversed(list(self.shared.values())) if cell.score), None)


@dataclass(frozen=True)
class Table:
    """The board, ready to be written.

    Attributes:
        stages: columns, in order.
        in_lanes: names of the stages that have a lane for each model.
        rows: one an attribute.
        measure: what the scores are.
    """

    stages: Sequence[Stage]
    in_lanes: frozenset[str]
    rows: Sequence[Row]
    measure: str


def table(board: Board) -> Table:
    """Arranges the cells of a board."""
    in_lanes = frozenset(cell.stage for cell in board.cells if cell.model)
    rows = [_row(board, attribute, in_lanes) for attribute in board.attributes]
    return Table(board.stages, in_lanes, rows, board.measure)


def _row(board: Board, attribute: str, in_lanes: frozenset[str]) -> Row:
    cells = [cell for cell in board.cells if cell.attribute == attribute]
    models = list(dict.fromkeys(cell.model for cell in cells if cell.model)) or [""]
    states = [words.task_word(cell.task) for cell in cells]
    return Row(
        attribute=attribute,
        title=attribute_title(attribute),
        lanes=[Lane(model, {c.stage: c for c in cells if c.model == model and model}) for model in models],
        shared={cell.stage: cell for cell in cells if cell.stage not in in_lanes},
        word=overall(states),
        done=sum(state not in ("waiting", "running") for state in states),
        total=len(cells),
    )


def brief(seconds: float) -> str:
    """A duration in a narrow cell: `12 s`, `3 min`, `2.1 h`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 0.95 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3570 else f"{seconds / 3600:.1f} h"

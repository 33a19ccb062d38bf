"""Many runs at once, as the console lists them: filtered, sorted, paged by key; and what it asks of a run in bulk.

A page is found in a narrow index (see schema 0007) and only its own rows are read, so ten thousand runs cost no more
than fifty. The API's lists, which are filtered in KFP's own language, are in `run_pages`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.engine.reader import load
from pipeline.engine.records import Attempt, Event, Run, Task
from pipeline.engine.run_pages import EXPERIMENT
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.errors import NotFound, PipelineError

PAGE = 25
SEARCHED_RUNS = 300  # tasks are looked for in the newest runs: all of them would take seconds in a large folder

# What a list can be sorted by: expressions over columns of the index `runs_listed`.
SORTS = {
    "started": "number",
    "name": "name",
    "took": "CASE WHEN started > 0 AND ended > 0 THEN ended - started ELSE 0 END",
}


@dataclass(frozen=True)
class Filter:
    """Which runs. Empty fields let everything through.

    Attributes:
        states: any of these.
        recipe: the label `recipe`, exactly.
        pipeline: name of the pipeline, exactly.
        experiment_id: the experiment, exactly.
        text: part of the name, the pipeline's name, the recipe or the run's id; upper and lower case are the same.
        tag: `key=value` of a label, or `key` for any value.
        archived: only what was put away, instead of only what was not.
    """

    states: tuple[RunState, ...] = ()
    recipe: str = ""
    pipeline: str = ""
    experiment_id: str = ""
    text: str = ""
    tag: str = ""
    archived: bool = False


@dataclass(frozen=True)
class Order:
    """How a list is sorted, and after which run (its id) the page begins; empty: with the first."""

    by: str = "started"
    descending: bool = True
    after: str = ""


@dataclass(frozen=True)
class Page:
    """Some runs of a list.

    Attributes:
        runs: at most as many as asked for.
        after: the run id with which the next page is asked for; empty on the last one.
        matching: how many runs the filter lets through, on all pages.
    """

    runs: Sequence[Run]
    after: str
    matching: int


class RunList:
    """Asks for runs in bulk. One object per thread, over that thread's store."""

    def __init__(self, store: Store) -> None:
        self._rows = store.database.rows

    def page(self, wanted: Filter, order: Order | None = None, size: int = PAGE) -> Page:
        """One page of the runs that a filter lets through.

        Raises:
            PipelineError: an unknown sort.
            NotFound: the run after which the page should begin does not exist.
        """
        order = order or Order()
        if order.by not in SORTS:
            raise PipelineError(f"runs cannot be sorted by {order.by!r}; give one of {', '.join(SORTS)}")
        where, values = _conditions(wanted)
        matching = self._rows(f"SELECT count(*) FROM runs WHERE {where}", values)[0][0]
        expression, way = SORTS[order.by], "DESC" if order.descending else "ASC"
        if order.after:
            sign = "<" if order.descending else ">"
            where += f" AND ({expression}, number) {sign} (?, ?)"
            values = [*values, *self._key_of(order.after, expression)]
        sql = f"SELECT number FROM runs WHERE {where} ORDER BY {expression} {way}, number {way} LIMIT ?"
        numbers = [row[0] for row in self._rows(sql, [*values, size + 1])]
        runs = self._by_number(numbers[:size])
        return Page(runs, runs[-1].run_id if len(numbers) > size else "", matching)

    def _key_of(self, run_id: str, expression: str) -> tuple[Any, int]:
        found = self._rows(f"SELECT {expression}, number FROM runs WHERE run_id = ?", (run_id,))
        if not found:
            raise NotFound(f"no run {run_id!r} to go on after; open the list from its beginning")
        return found[0][0], found[0][1]

    def _by_number(self, numbers: Sequence[int]) -> list[Run]:
        found = self._rows(f"{_RUNS} number IN ({_marks(numbers)})", numbers)
        runs = {row["number"]: load(Run, row) for row in found}
        return [runs[number] for number in numbers]

    def previous(self, run: Run) -> Run | None:
        """The run of the same pipeline that was made before this one."""
        earlier = "pipeline = ? AND number < (SELECT number FROM runs WHERE run_id = ?)"
        rows = self._rows(f"{_RUNS} {earlier} ORDER BY number DESC LIMIT 1", (run.pipeline, run.run_id))
        return load(Run, rows[0]) if rows else None

    def recipes(self) -> list[str]:
        """The recipes that runs were made from, in alphabetical order."""
        rows = self._rows("SELECT DISTINCT recipe FROM runs WHERE recipe IS NOT NULL ORDER BY recipe")
        return [str(row[0]) for row in rows]

    def experiments(self) -> dict[str, str]:
        """Names of the experiments by their ids."""
        rows = self._rows(
            "SELECT experiment_id, display_name FROM experiments WHERE NOT archived ORDER BY display_name"
        )
        return {row[0]: row[1] for row in rows}

    def failed_since(self, moment: float, limit: int) -> list[Run]:
        """Runs that failed after a moment and were not put away, newest first."""
        failed = "state = 'FAILED' AND ended > ? AND NOT archived"
        return [load(Run, row) for row in self._rows(f"{_RUNS} {failed} ORDER BY number DESC LIMIT ?", (moment, limit))]

    def tasks_like(self, text: str, limit: int) -> list[tuple[Run, Task]]:
        """Tasks of the newest runs whose label has a text in it, newest run first."""
        sql = (
            "SELECT tasks.* FROM tasks JOIN runs USING (run_id) WHERE runs.deleted = 0 "
            "AND runs.number > (SELECT max(number) FROM runs) - ? AND tasks.kind IN ('task', 'importer') "
            "AND tasks.label LIKE ? ESCAPE '\\' ORDER BY runs.number DESC, tasks.position LIMIT ?"
        )
        tasks = [load(Task, row) for row in self._rows(sql, (SEARCHED_RUNS, _like(text), limit))]
        ids = list({task.run_id for task in tasks})
        runs = {row["run_id"]: load(Run, row) for row in self._rows(f"{_RUNS} run_id IN ({_marks(ids)})", ids)}
        return [(runs[task.run_id], task) for task in tasks]

    def attempts(self, run_id: str) -> list[Attempt]:
        """All attempts of a run, by task and number."""
        rows = self._rows("SELECT * FROM attempts WHERE run_id = ? ORDER BY key, number", (run_id,))
        return [load(Attempt, row) for row in rows]

    def events(self, run_id: str, before: int, limit: int) -> list[Event]:
        """The journal of a run, newest first, from before a sequence number on; 0 begins with the newest."""
        sql = "SELECT * FROM journal WHERE run_id = ? AND (sequence < ? OR ? = 0) ORDER BY sequence DESC LIMIT ?"
        return [load(Event, row) for row in self._rows(sql, (run_id, before, before, limit))]


_RUNS = "SELECT * FROM runs WHERE deleted = 0 AND"
_ESCAPE = "'\\'"


def _conditions(wanted: Filter) -> tuple[str, list[Any]]:
    """SQL and values of a filter."""
    parts: list[tuple[str, list[Any]]] = [("deleted = 0", []), ("archived = ?", [int(wanted.archived)])]
    if wanted.states:
        parts.append((f"state IN ({_marks(wanted.states)})", [str(state) for state in wanted.states]))
    columns = {"recipe": wanted.recipe, "pipeline": wanted.pipeline, EXPERIMENT.sql: wanted.experiment_id}
    parts += [(f"{column} = ?", [value]) for column, value in columns.items() if value]
    if wanted.text:
        searched = [f"{column} LIKE ? ESCAPE {_ESCAPE}" for column in ("name", "pipeline", "recipe", "run_id")]
        parts.append((f"({' OR '.join(searched)})", [_like(wanted.text)] * len(searched)))
    if wanted.tag:
        key, equals, value = wanted.tag.partition("=")
        label = "EXISTS (SELECT 1 FROM json_each(labels_json) AS label WHERE label.key = ?"
        parts.append((label + (" AND label.value = ?)" if equals else ")"), [key, value] if equals else [key]))
    return " AND ".join(sql for sql, _ in parts), [value for _, values in parts for value in values]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _like(text: str) -> str:
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"

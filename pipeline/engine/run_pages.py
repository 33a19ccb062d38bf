"""Runs as a list: filtered, sorted, in pages; put away, taken out again, deleted."""

import sqlite3
from collections.abc import Mapping

from pipeline.engine.experiments import DEFAULT_ID, STORAGE_STATE
from pipeline.engine.listing import Column, Kind, Page, Query, page
from pipeline.engine.reader import load
from pipeline.engine.records import Run
from pipeline.engine.states import RUN_ENDED
from pipeline.engine.store import Store
from pipeline.errors import Conflict

EXPERIMENT = Column(f"IIF(experiment_id = '', '{DEFAULT_ID}', experiment_id)")
COLUMNS: Mapping[str, Column] = {
    "run_id": Column("run_id"),
    "display_name": Column("name"),
    "description": Column("description"),
    "state": Column("state"),
    "storage_state": STORAGE_STATE,
    "created_at": Column("created", Kind.TIME),
    "scheduled_at": Column("IIF(scheduled = 0, created, scheduled)", Kind.TIME),
    "finished_at": Column("ended", Kind.TIME),
    "experiment_id": EXPERIMENT,
    "pipeline_name": Column("pipeline"),
    "pipeline_version_id": Column("version_id"),
    "recurring_run_id": Column("recurring_id"),
}


class RunPages:
    """The runs of a state folder as a list. One object per thread, as the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database = store.database

    def list(self, query: Query) -> Page:
        """One page of runs; `loaded` reads its rows."""
        return page(self._database, "(SELECT * FROM runs WHERE deleted = 0)", "number", query)

    def archive(self, run_id: str, now: float) -> None:
        """Puts a run away.

        Raises:
            NotFound: there is none.
        """
        self._set_archived(run_id, True, now)

    def unarchive(self, run_id: str, now: float) -> None:
        """Takes a run out again.

        Raises:
            NotFound: there is none.
            Conflict: its experiment is archived.
        """
        experiment_id = self._store.run(run_id).experiment_id or DEFAULT_ID
        sql = "SELECT display_name FROM experiments WHERE experiment_id = ? AND archived"
        if rows := self._database.rows(sql, (experiment_id,)):
            raise Conflict(f"experiment {rows[0]['display_name']!r} of the run is archived; unarchive it first")
        self._set_archived(run_id, False, now)

    def delete(self, run_id: str, now: float) -> None:
        """Hides a run for good. What it made stays: other runs may have taken it from the cache, or will.

        Raises:
            NotFound: there is none.
            Conflict: it has not ended.
        """
        with self._database.writing() as journal:
            run = self._store.run(run_id)
            if run.state not in RUN_ENDED:
                raise Conflict(f"run {run.run_id[:8]} is {run.state}; terminate it before it is deleted")
            self._database.update("runs", {"deleted": now}, {"run_id": run.run_id})
            journal(now, run.run_id, "", "deleted", {})

    def _set_archived(self, run_id: str, archived: bool, now: float) -> None:
        with self._database.writing() as journal:
            run = self._store.run(run_id)
            self._database.update("runs", {"archived": archived}, {"run_id": run.run_id})
            journal(now, run.run_id, "", "archived" if archived else "unarchived", {})


def loaded(row: sqlite3.Row) -> Run:
    """A row of `RunPages.list`."""
    return load(Run, row)

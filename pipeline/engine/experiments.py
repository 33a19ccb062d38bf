"""Experiments: named groups of runs. The one called Default is made when first needed and takes all other runs."""

import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.engine.listing import Column, Kind, Page, Query, page
from pipeline.engine.store import Store
from pipeline.errors import Conflict, NotFound

DEFAULT_ID = "00000000-0000-4000-8000-000000000000"
DEFAULT_NAME = "Default"
_ARCHIVED = "CASE {0}archived WHEN 0 THEN 'AVAILABLE' ELSE 'ARCHIVED' END"
STORAGE_STATE = Column(_ARCHIVED.format(""))
COLUMNS: Mapping[str, Column] = {
    "experiment_id": Column("experiment_id"),
    "display_name": Column("display_name"),
    "description": Column("description"),
    "created_at": Column("created", Kind.TIME),
    "storage_state": STORAGE_STATE,
    "last_run_created_at": Column("last_run", Kind.TIME),
}
_OF_DEFAULT = f"IIF(experiments.experiment_id = '{DEFAULT_ID}', '', experiments.experiment_id)"
_LAST_RUN = (
    "SELECT MAX(runs.created) FROM runs WHERE deleted = 0 "
    f"AND runs.experiment_id IN (experiments.experiment_id, {_OF_DEFAULT})"
)
_WITH_LAST_RUN = (
    f"(SELECT experiments.rowid AS number, experiments.*, COALESCE(({_LAST_RUN}), 0) AS last_run FROM experiments)"
)


@dataclass(frozen=True)
class Experiment:
    """A named group of runs. `last_run`: when its newest run was made."""

    experiment_id: str
    display_name: str
    description: str
    created: float
    archived: bool
    last_run: float = 0.0


class Experiments:
    """The experiments of a state folder. One object per thread, as the store."""

    def __init__(self, store: Store) -> None:
        self._database = store.database

    def create(self, display_name: str, description: str, now: float) -> Experiment:
        """Makes an experiment.

        Raises:
            Conflict: there is one of that name.
        """
        return self._insert(str(uuid.uuid4()), display_name, description, now)

    def default(self, now: float) -> Experiment:
        """The one called Default, made when there is none."""
        try:
            return self.get(DEFAULT_ID)
        except NotFound:
            pass
        try:
            return self._insert(DEFAULT_ID, DEFAULT_NAME, "runs that name no experiment", now)
        except Conflict:  # another thread was faster
            return self.get(DEFAULT_ID)

    def get(self, experiment_id: str) -> Experiment:
        """An experiment by its id.

        Raises:
            NotFound: there is none.
        """
        rows = self._database.rows(f"SELECT * FROM {_WITH_LAST_RUN} WHERE experiment_id = ?", (experiment_id,))
        if not rows:
            raise NotFound(f"no experiment {experiment_id!r}; GET /apis/v2beta1/experiments lists them")
        return loaded(rows[0])

    def list(self, query: Query) -> Page:
        """One page of experiments; `loaded` reads its rows."""
        return page(self._database, _WITH_LAST_RUN, "number", query)

    def archive(self, experiment_id: str, now: float) -> None:
        """Puts an experiment away with all of its runs, as KFP does.

        Raises:
            NotFound: there is none.
        """
        self.get(experiment_id)
        with self._database.writing() as journal:
            self._database.update("experiments", {"archived": 1}, {"experiment_id": experiment_id})
            for own in _ids_in_runs(experiment_id):
                self._database.update("runs", {"archived": 1}, {"experiment_id": own})
            journal(now, "", "", "experiment", {"change": "archived", "experiment_id": experiment_id})

    def unarchive(self, experiment_id: str, now: float) -> None:
        """Takes an experiment out again; its runs stay archived until somebody takes them out, as in KFP.

        Raises:
            NotFound: there is none.
        """
        self.get(experiment_id)
        with self._database.writing() as journal:
            self._database.update("experiments", {"archived": 0}, {"experiment_id": experiment_id})
            journal(now, "", "", "experiment", {"change": "unarchived", "experiment_id": experiment_id})

    def delete(self, experiment_id: str, now: float) -> None:
        """Removes an experiment; its runs move to Default.

        Raises:
            NotFound: there is none.
            Conflict: it is Default.
        """
        self.get(experiment_id)
        if experiment_id == DEFAULT_ID:
            raise Conflict("the experiment Default takes the runs that name none, so it stays; archive it instead")
        with self._database.writing() as journal:
            self._database.update("runs", {"experiment_id": ""}, {"experiment_id": experiment_id})
            self._database.rows("DELETE FROM experiments WHERE experiment_id = ?", (experiment_id,))
            journal(now, "", "", "experiment", {"change": "deleted", "experiment_id": experiment_id})

    def _insert(self, experiment_id: str, display_name: str, description: str, now: float) -> Experiment:
        made = Experiment(experiment_id, display_name, description, now, archived=False)
        columns = {"experiment_id": experiment_id, "display_name": display_name, "description": description}
        try:
            with self._database.writing() as journal:
                self._database.insert("experiments", columns | {"created": now})
                journal(now, "", "", "experiment", {"change": "created", "experiment_id": experiment_id})
        except sqlite3.IntegrityError:
            raise Conflict(f"there is an experiment {display_name!r} already; use it, or give another name") from None
        return made


def loaded(row: sqlite3.Row) -> Experiment:
    """A row of `Experiments.list`."""
    archived = bool(row["archived"])
    return Experiment(
        row["experiment_id"], row["display_name"], row["description"], row["created"], archived, row["last_run"]
    )


def _ids_in_runs(experiment_id: str) -> tuple[str, ...]:
    return (experiment_id, "") if experiment_id == DEFAULT_ID else (experiment_id,)

"""The table of recurring runs (KFP's word): what runs again and again, and when. Every change is journalled.

Two times keep a recurring run honest. No time up to `since` ever fires: it moves when somebody creates, re-enables
or reschedules, so nobody is surprised by the past. Times up to `last_due` are dealt with: it only ever grows.
"""

import json
import sqlite3
import uuid
from typing import Any

from pipeline.engine import irtext, macros
from pipeline.engine.database import to_json
from pipeline.engine.reader import load
from pipeline.engine.records import Run
from pipeline.engine.recurring_spec import (
    Mode,
    RecurringRun,
    RecurringSpec,
    difference,
    pending,
    spec_from_json,
    spec_to_json,
    what_catch_up_would_launch,
)
from pipeline.engine.store import Store
from pipeline.errors import NotFound

__all__ = ["Mode", "RecurringRun", "RecurringRuns", "RecurringSpec", "pending", "what_catch_up_would_launch"]
_UNFINISHED = "('PENDING', 'RUNNING', 'CANCELING')"
_PLAIN = ("recurring_id", "mode", "created", "updated", "anchor", "since", "last_due", "last_index", "problem")


class RecurringRuns:
    """The recurring runs of a state folder. One object per thread, as the store.

    Args:
        store: the state folder.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database = store.database

    def create(self, spec: RecurringSpec, now: float, enabled: bool = True) -> RecurringRun:
        """Makes a recurring run. With a start in the past, what was missed since then is due, as in KFP.

        Raises:
            NotFound: no such pipeline, version or experiment.
            PipelineError: the parameters do not fit the pipeline.
        """
        self._check(spec, now)
        begin = float(int(now))
        past = min(begin, spec.trigger.start - 1.0) if spec.trigger.start else begin
        mode = Mode.ENABLED if enabled else Mode.DISABLED
        made = RecurringRun(str(uuid.uuid4()), spec, mode, now, now, begin, past, past)
        columns = {name: getattr(made, name) for name in _PLAIN} | {"spec_json": to_json(spec_to_json(spec))}
        with self._database.writing() as journal:
            self._database.insert("recurring_runs", columns)
            journal(now, "", made.recurring_id, "recurring", {"change": "created", "mode": mode})
        return made

    def get(self, recurring_id: str) -> RecurringRun:
        """A recurring run by its whole id.

        Raises:
            NotFound: there is none.
        """
        rows = self._database.rows("SELECT * FROM recurring_runs WHERE recurring_id = ?", (recurring_id,))
        if not rows:
            raise NotFound(f"no recurring run {recurring_id!r}; it was deleted, or its id is wrong")
        return _loaded(rows[0])

    def all(self) -> list[RecurringRun]:
        """All of them, newest first."""
        return [_loaded(row) for row in self._database.rows("SELECT * FROM recurring_runs ORDER BY number DESC")]

    def enabled(self) -> list[RecurringRun]:
        """Those that launch, oldest first."""
        sql = "SELECT * FROM recurring_runs WHERE mode = ? ORDER BY number"
        return [_loaded(row) for row in self._database.rows(sql, (Mode.ENABLED,))]

    def update(self, recurring_id: str, spec: RecurringSpec, now: float) -> RecurringRun:
        """Replaces what a person said; `replace(get(id).spec, max_concurrency=2)` changes one thing.

        A new trigger begins now: times before the change do not fire, by the old one or the new one.

        Raises:
            NotFound, PipelineError: as `get` and `create`.
        """
        self._check(spec, now)
        with self._database.writing() as journal:
            before = self.get(recurring_id)
            columns = {"spec_json": to_json(spec_to_json(spec)), "updated": now, "problem": ""}
            if spec.trigger != before.spec.trigger:
                columns |= self._from_now(before, now) | {"anchor": float(int(now))}
            self._database.update("recurring_runs", columns, {"recurring_id": recurring_id})
            detail = {"change": "edited", **difference(before.spec, spec)}
            journal(now, "", recurring_id, "recurring", detail)
        return self.get(recurring_id)

    def enable(self, recurring_id: str, now: float, catch_up: bool = False) -> RecurringRun:
        """Lets it launch. What it missed while it was disabled does not fire, unless `catch_up`.

        Raises:
            NotFound: there is none.
        """
        return self._set_mode(recurring_id, Mode.ENABLED, now, catch_up)

    def disable(self, recurring_id: str, now: float) -> RecurringRun:
        """Stops it from launching; runs that it made go on.

        Raises:
            NotFound: there is none.
        """
        return self._set_mode(recurring_id, Mode.DISABLED, now, True)

    def delete(self, recurring_id: str, now: float) -> None:
        """Removes it; runs that it made stay.

        Raises:
            NotFound: there is none.
        """
        with self._database.writing() as journal:
            was = self.get(recurring_id)
            self._database.rows("DELETE FROM recurring_runs WHERE recurring_id = ?", (recurring_id,))
            journal(now, "", recurring_id, "recurring", {"change": "deleted", "was": spec_to_json(was.spec)})

    def runs(self, recurring_id: str, limit: int = 5) -> list[Run]:
        """The latest runs that it made, newest first; 0 means all."""
        own = "recurring_id = ? AND recurring_id <> '' AND deleted = 0"
        sql = f"SELECT * FROM runs WHERE {own} ORDER BY number DESC LIMIT ?"
        return [load(Run, row) for row in self._database.rows(sql, (recurring_id, limit or -1))]

    def pipeline_of(self, spec: RecurringSpec) -> tuple[str, str]:
        """What it would launch now: IR text and version id (empty for a pipeline in line).

        Raises:
            NotFound: the pipeline or version is gone, or has no version yet.
        """
        columns = "SELECT text, version_id FROM pipelines JOIN versions ON digest = pipeline_digest"
        if spec.version_id:
            rows = self._database.rows(f"{columns} WHERE version_id = ?", (spec.version_id,))
        elif spec.pipeline_id:
            newest = f"{columns} WHERE pipeline_id = ? ORDER BY created DESC, versions.rowid DESC LIMIT 1"
            rows = self._database.rows(newest, (spec.pipeline_id,))
        else:
            sql = "SELECT text, '' AS version_id FROM pipelines WHERE digest = ?"
            rows = self._database.rows(sql, (spec.pipeline_digest,))
        if not rows:
            raise NotFound(_missing_pipeline(spec))
        return str(rows[0]["text"]), str(rows[0]["version_id"])

    # For the ticker

    def unfinished(self, recurring_id: str) -> int:
        """How many of its runs have not ended."""
        sql = f"SELECT COUNT(*) AS count FROM runs WHERE recurring_id = ? AND state IN {_UNFINISHED}"
        return int(self._database.rows(sql, (recurring_id,))[0]["count"])

    def run_with_key(self, run_key: str) -> str:
        """The run that was launched with a key, empty when there is none."""
        rows = self._database.rows("SELECT run_id FROM runs WHERE run_key = ? AND run_key <> ''", (run_key,))
        return str(rows[0]["run_id"]) if rows else ""

    def take_index(self, recurring_id: str) -> int:
        """The number of its next run; nobody gets it twice."""
        with self._database.writing():
            index = self.get(recurring_id).last_index + 1
            self._database.update("recurring_runs", {"last_index": index}, {"recurring_id": recurring_id})
        return index

    def dealt_with(self, recurring_id: str, due: float) -> None:
        """Records that nothing up to a time is left to launch."""
        sql = "UPDATE recurring_runs SET last_due = MAX(last_due, ?), problem = '' WHERE recurring_id = ?"
        with self._database.writing():
            self._database.rows(sql, (due, recurring_id))

    def report_problem(self, recurring_id: str, problem: str, now: float) -> None:
        """Records why it cannot launch; the same reason once."""
        with self._database.writing() as journal:
            if self.get(recurring_id).problem != problem:
                self._database.update("recurring_runs", {"problem": problem}, {"recurring_id": recurring_id})
                journal(now, "", recurring_id, "recurring", {"change": "problem", "problem": problem})

    def _set_mode(self, recurring_id: str, mode: Mode, now: float, catch_up: bool) -> RecurringRun:
        with self._database.writing() as journal:
            before = self.get(recurring_id)
            if before.mode is mode:
                return before
            columns = {"mode": mode, "updated": now} | ({} if catch_up else self._from_now(before, now))
            self._database.update("recurring_runs", columns, {"recurring_id": recurring_id})
            journal(now, "", recurring_id, "recurring", {"change": mode.lower(), "catch_up": catch_up})
        return self.get(recurring_id)

    def _from_now(self, before: RecurringRun, now: float) -> dict[str, Any]:
        return {"since": max(before.since, now), "last_due": max(before.last_due, now)}

    def _check(self, spec: RecurringSpec, now: float) -> None:
        """A launch at this moment would be accepted."""
        if spec.experiment_id and not self._database.rows(
            "SELECT 1 FROM experiments WHERE experiment_id = ?", (spec.experiment_id,)
        ):
            raise NotFound(f"no experiment {spec.experiment_id!r}; leave it out for the default one")
        text, _ = self.pipeline_of(spec)
        example = macros.Launch(str(uuid.UUID(int=0)), now, now, 1)
        pipeline = irtext.read(text)
        irtext.fill_parameters(pipeline, macros.parameters(pipeline, spec.parameters, example))


def _loaded(row: sqlite3.Row) -> RecurringRun:
    plain = {name: row[name] for name in _PLAIN} | {"mode": Mode(row["mode"])}
    return RecurringRun(spec=spec_from_json(json.loads(row["spec_json"])), **plain)


def _missing_pipeline(spec: RecurringSpec) -> str:
    if spec.version_id:
        return f"no pipeline version {spec.version_id!r}; it was deleted, choose another one"
    if spec.pipeline_id:
        return f"pipeline {spec.pipeline_id!r} has no version to launch; upload one or choose another pipeline"
    return f"no pipeline {spec.pipeline_digest!r} is kept here; give the pipeline again"

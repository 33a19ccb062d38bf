"""Launches recurring runs when they are due: what a server's thread calls every second or so.

Each (recurring run, scheduled time) launches exactly once, whatever dies between two steps, however many tickers look
at the same folder: the run is made with a key of both, which is unique in the store, and only then is the time marked
as dealt with. So a crash in between makes nothing twice and loses nothing, and two tickers that count the unfinished
runs after reading `last_due` can only agree on the next launch or both wait.

A clock that jumps ahead launches what is due by it. If it then goes back, `last_due` is ahead of it, perhaps by years:
times that pass a second time, or were never reached, still fire as they come, each at most once by its key.
"""

import logging
import sqlite3
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from pipeline.engine import irtext, macros, recurring
from pipeline.engine.clock import Clock
from pipeline.engine.records import About
from pipeline.engine.recurring import RecurringRun, RecurringRuns, RecurringSpec
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.errors import NotFound, PipelineError

LOG = logging.getLogger("seamline.engine")
ReadPipeline = Callable[[RecurringSpec], tuple[str, str]]


class Ticker:
    """Launches what is due. Lives in one thread, with a store and an engine of that thread.

    Args:
        store: the state folder.
        engine: makes the runs; whoever dispatches executes them.
        clock: the time.
        read_pipeline: what to launch: IR text and version id; by default from the catalogue of the state folder.
    """

    def __init__(self, store: Store, engine: Engine, clock: Clock, read_pipeline: ReadPipeline | None = None) -> None:
        self._records = RecurringRuns(store)
        self._engine = engine
        self._clock = clock
        self._read_pipeline = read_pipeline or self._records.pipeline_of
        self._looked: dict[str, float] = {}  # recurring id -> up to when this ticker has launched what was due

    def tick(self) -> list[str]:
        """Launches everything that is due and has room; whatever stops one recurring run stops no other.

        Returns:
            Ids of the runs launched.
        """
        now = self._clock.now()
        launched: list[str] = []
        for record in self._records.enabled():
            try:
                launched += self._launch_pending(record, now)
            except PipelineError as error:
                self._report(record, str(error), now)
            except (OSError, sqlite3.Error) as error:
                LOG.warning("recurring run %s: %s; trying again", record.recurring_id, error)
            except Exception as error:
                LOG.exception("recurring run %s: an error of the engine", record.recurring_id)
                self._report(record, f"an error of the engine, please report it: {type(error).__name__}: {error}", now)
        return launched

    def run_now(self, recurring_id: str) -> str:
        """Launches it once outside its schedule, enabled or not, whatever else of it runs.

        Returns:
            The run's id.

        Raises:
            NotFound: no such recurring run, or its pipeline is gone.
            PipelineError: its parameters no longer fit the pipeline.
        """
        now = self._clock.now()
        return self._launch(self._records.get(recurring_id), now, now, f"recurring/{recurring_id}/now/{uuid.uuid4()}")

    def _launch_pending(self, record: RecurringRun, now: float) -> list[str]:
        launched: list[str] = []
        for due in recurring.pending(record, self._looked_until(record, now), now):
            if not self._may_launch(record):
                return launched
            key = f"recurring/{record.recurring_id}/{_stamp(due)}"
            if not self._records.run_with_key(key):
                launched.append(self._launch(record, due, now, key))
            self._records.dealt_with(record.recurring_id, due)
        self._looked[record.recurring_id] = now
        return launched

    def _may_launch(self, record: RecurringRun) -> bool:
        has_room = self._records.unfinished(record.recurring_id) < record.spec.max_concurrency
        return has_room and self._records.get(record.recurring_id).is_enabled  # somebody may just have disabled it

    def _looked_until(self, record: RecurringRun, now: float) -> float:
        """The time after which this look begins."""
        if now >= record.last_due:
            return record.last_due
        looked = self._looked.get(record.recurring_id, now)
        return max(record.since, looked) if looked <= now else now  # the clock went back just now: go on from here

    def _launch(self, record: RecurringRun, due: float, now: float, key: str) -> str:
        spec = record.spec
        text, version_id = self._read_pipeline(spec)
        index = self._records.take_index(record.recurring_id)
        run_id = str(uuid.uuid4())
        launch = macros.Launch(run_id, due, now, index)
        about = About(
            description=spec.description,
            experiment_id=spec.experiment_id,
            version_id=version_id,
            recurring_id=record.recurring_id,
            scheduled=due,
            run_key=key,
        )
        parameters = macros.parameters(irtext.read(text), spec.parameters, launch)
        name = f"{spec.display_name}-{index}"
        return self._engine.create_run(text, parameters, name, cache=spec.cache, about=about, run_id=run_id)

    def _report(self, record: RecurringRun, problem: str, now: float) -> None:
        try:
            self._records.report_problem(record.recurring_id, problem, now)
        except NotFound:
            LOG.info("recurring run %s was deleted while it was due", record.recurring_id)


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()

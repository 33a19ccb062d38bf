"""`seamline watch`: looks at one folder of rounds, and carries out the runs that it launches if nobody else does.

A watcher may be killed at any time: the next one finds what was launched, and goes on with the run that was under way.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.engine.records import Run
from pipeline.engine.round_log import RoundLog
from pipeline.engine.round_records import INTENDED, Launch, Source
from pipeline.engine.runner import Engine
from pipeline.engine.states import RUN_ENDED, RunState
from pipeline.engine.store import Store
from pipeline.errors import Conflict, StateError
from pipeline.rounds import landing, launching, views
from pipeline.rounds import sensor as sensors
from pipeline.rounds.landing import Instants
from pipeline.rounds.launching import Launcher
from pipeline.rounds.views import RoundView
from pipeline.rounds.watch import Watch

FOLLOW_S = 1.0
Progress = Callable[[str], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Hands:
    """Who carries out runs.

    Attributes:
        launcher: makes them.
        engine: executes them here where nobody else does; None: they run elsewhere.
        progress: shows a run, by its id, while it executes here.
    """

    launcher: Launcher
    engine: Engine | None = None
    progress: Progress = lambda run_id: nullcontext()


class Watcher:
    """Watches one source in the foreground.

    Args:
        store: the state folder.
        source: what is watched.
        hands: who carries out the runs.
        instants: the clocks.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        hands: Hands,
        instants: Instants = landing.instant,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._log = RoundLog(store.database)
        self._source = source
        self._hands = hands
        self._instants = instants
        self._sleep = sleep
        self._watch = Watch(self._log, source, hands.launcher, store.directory, instants)

    def look(self) -> str:
        """Looks once, and launches what is due; what is in the way, or an empty text."""
        _, trouble = sensors.look_at(
            self._log, self._source, self._hands.launcher, self._store.directory, self._instants
        )
        return trouble

    def backfill(self, names: list[str], mode: str) -> list[Launch]:
        """See Watch.backfill."""
        return self._watch.backfill(names, mode)

    def carry_out(self) -> None:
        """Executes the launched runs that nobody executes, one after the other; passes over those it may not."""
        for launch in self._open():
            self._advance(launch)
        self._watch.finish()

    def wait(self) -> list[Launch]:
        """Carries out, or waits for, all open runs of the source until they have ended.

        Returns:
            These launches, as they ended. One whose run cannot be made is not waited for.
        """
        keys = {launch.run_key for launch in self._launches() if not launching.has_ended(launch.state)}
        self.carry_out()
        while self._open():
            self._sleep(FOLLOW_S)
            self.carry_out()
        return [launch for launch in self._launches() if launch.run_key in keys]

    def forever(self, every_s: float, say: Callable[[str], None]) -> None:
        """Looks every so many seconds, until a signal ends the process; says what has changed."""
        said = ""
        while True:
            said = self._say(self.look(), said, say)
            self.carry_out()
            said = self._say("", said, say)
            self._sleep(every_s)

    def rounds(self) -> list[RoundView]:
        """The rounds as they stand."""
        return views.list_rounds(self._log, self._source.source_id)

    def text(self, trouble: str = "") -> str:
        """How everything stands, for people."""
        lines = [f"{self._source.address}  recipe {self._source.pipeline}"]
        lines += [f"  {trouble}"] if trouble else []
        lines += [_line(view) for view in self.rounds()]
        return "\n".join(lines)

    def as_json(self, trouble: str = "") -> dict[str, Any]:
        """How everything stands, for machines."""
        return {
            "source_id": self._source.source_id,
            "address": self._source.address,
            "trouble": trouble,
            "rounds": [asdict(view) | {"label": view.label} for view in self.rounds()],
            "launches": [asdict(launch) for launch in views.list_launches(self._log, self._source.source_id)],
        }

    def _say(self, trouble: str, before: str, say: Callable[[str], None]) -> str:
        text = self.text(trouble)
        if text != before:
            say(text)
        return text

    def _launches(self) -> list[Launch]:
        return self._log.launches(self._source.source_id)

    def _open(self) -> list[Launch]:
        """Launches whose run has not ended."""
        return [x for x in self._launches() if x.state != INTENDED and not launching.has_ended(x.state)]

    def _advance(self, launch: Launch) -> None:
        engine = self._hands.engine
        if engine is None or engine.is_served():
            return
        run = self._store.run(launch.run_id)
        if run.state not in RUN_ENDED and not engine.is_executing(run):
            self._execute(engine, run)

    def _execute(self, engine: Engine, run: Run) -> None:
        """Executes a run that waits, or that was interrupted, unless somebody else is about to."""
        try:
            engine.refuse_if_busy()
            if run.state is not RunState.PENDING:
                engine.retry(run.run_id)
            with self._hands.progress(run.run_id):
                engine.execute(run.run_id)
        except (StateError, Conflict):
            return


def _line(view: RoundView) -> str:
    counts = f"{view.pictures:,} pictures, {view.new_pictures:,} new" if view.digest else f"{view.files:,} files"
    refused = f"; {view.rejected:,} rows refused" if view.rejected else ""
    launch = view.launch
    ran = f"; run {launch.run_id[:8] or '-'} {launch.state.lower()}{_verdict(launch.verdict)}" if launch else ""
    reason = f"; {view.reason}" if view.reason else ""
    return f"  {view.label:<12} {view.state:<9} {counts}{refused}{ran}{reason}"


def _verdict(verdict: Any) -> str:
    return "".join(f", {name} {decision['action']}" for name, decision in verdict.items())

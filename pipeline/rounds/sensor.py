"""What a server does about rounds: looks at every registered source now and then, and never falls over bad data."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.errors import StepError
from pipeline.engine.round_log import RoundLog
from pipeline.engine.round_records import Launch, Source
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.errors import PipelineError
from pipeline.local import make_engine
from pipeline.rounds import landing, views
from pipeline.rounds import source as sources
from pipeline.rounds.landing import Instants
from pipeline.rounds.launching import Launcher, LocalLauncher
from pipeline.rounds.views import LaunchView
from pipeline.rounds.watch import Watch

LOG = logging.getLogger("seamline.rounds")
EVERY_S = 30.0
EngineOf = Callable[[Store], Engine]


@dataclass(frozen=True)
class SensorSettings:
    """state_dir: the state folder. every_s: seconds between two looks."""

    state_dir: Path
    every_s: float = EVERY_S


class Sensor:
    """Looks at the registered sources of a state folder. Call it from one thread: it opens a store of its own.

    Args:
        settings: which state folder, how often.
        open_store: opens the state folder for writing.
        instants: the clocks.
        engine_of: makes the engine that makes runs in the state folder.
    """

    def __init__(
        self,
        settings: SensorSettings,
        open_store: Callable[[], Store],
        instants: Instants = landing.instant,
        engine_of: EngineOf = make_engine,
    ) -> None:
        self._settings = settings
        self._open_store = open_store
        self._instants = instants
        self._engine_of = engine_of

    def run(self, stopped: threading.Event) -> None:
        """Looks every so many seconds until `stopped`: the body of a server's thread."""
        while not stopped.is_set():
            self.look()
            stopped.wait(self._settings.every_s)

    def look(self) -> list[Launch]:
        """One pass over all registered and enabled sources; returns the launches whose runs were made in it.

        What is wrong with a source is recorded as its trouble. A state folder that cannot be read or written at all
        is logged, and the next pass tries again.
        """
        try:
            store = self._open_store()
        except PipelineError as error:
            LOG.warning("rounds: %s", error)
            return []
        try:
            log = RoundLog(store.database)
            watched = [source for source in log.sources() if source.registered and source.enabled]
            return [launch for source in watched for launch in self._look_at(store, log, source)]
        except sqlite3.Error as error:
            LOG.warning("rounds: the state cannot be read or written: %s; trying again", error)
            return []
        finally:
            store.close()

    def _look_at(self, store: Store, log: RoundLog, source: Source) -> Sequence[Launch]:
        launcher = LocalLauncher(self._engine_of(store), store)
        launched, trouble = look_at(log, source, launcher, self._settings.state_dir, self._instants)
        if trouble:
            LOG.warning("rounds of %s: %s", source.address, trouble)
        for launch in launched:
            LOG.info("rounds of %s launched run %s (%s)", source.address, launch.run_id, launch.name)
        return launched


def look_at(
    log: RoundLog, source: Source, launcher: Launcher, state_dir: Path, instants: Instants = landing.instant
) -> tuple[Sequence[Launch], str]:
    """One look at one source: the launches whose runs were made in it, and what is in the way."""
    launched: Sequence[Launch] = ()
    trouble = ""
    try:
        launched = Watch(log, source, launcher, state_dir, instants).look()
    except (PipelineError, StepError, OSError) as error:
        trouble = str(error)
    except sqlite3.Error:
        raise  # the state folder's trouble, not the source's
    except Exception as error:  # other people's files reach libraries that fail in ways of their own
        LOG.exception("rounds of %s: an error of Seamline", source.address)
        trouble = f"an error of Seamline, please report it: {type(error).__name__}: {error}"
    log.mark_source(source.source_id, looked=instants().wall, trouble=trouble)
    return launched, trouble


def backfill(
    launcher: Launcher,
    store: Store,
    source_id: str,
    names: Sequence[str],
    mode: str,
    instants: Instants = landing.instant,
) -> list[LaunchView]:
    """Launches chosen rounds again in the state folder; what was launched before with the same settings is that run.

    Args:
        launcher: makes the runs.
        store: the state folder.
        source_id: of the source, or its address.
        names: of rounds.
        mode: `coalesce`: one run on exactly these; `queue`: one for each, with the chosen ones before it.

    Raises:
        NotFound: no such source or round. Conflict: a round has not landed. RecipeError: the recipe is spoilt.
    """
    log = RoundLog(store.database)
    source = sources.find(log, source_id)
    made = Watch(log, source, launcher, store.directory, instants).backfill(list(names), mode)
    keys = {launch.name for launch in made}
    return [view for view in views.list_launches(log, source.source_id) if view.name in keys]

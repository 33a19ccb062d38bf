"""Implements pipeline.server.domain.rounds over `pipeline.rounds`."""

from collections.abc import Sequence
from dataclasses import asdict

from pipeline import recipe
from pipeline.engine.round_log import RoundLog
from pipeline.engine.store import Store
from pipeline.errors import PipelineError
from pipeline.recipe import RECIPES
from pipeline.recipe_steps import ROUNDS
from pipeline.rounds import sensor, views
from pipeline.rounds import source as sources
from pipeline.rounds.launching import LocalLauncher
from pipeline.server.domain.rounds import WatchedFolder, Wish


class LocalRounds:
    """See pipeline.server.domain.rounds.Rounds.

    Args:
        engine_of: makes the engine that makes the launched runs.
    """

    def __init__(self, engine_of: sensor.EngineOf) -> None:
        self._engine_of = engine_of

    def folders(self, store: Store) -> Sequence[WatchedFolder]:
        """See Rounds."""
        log = RoundLog(store.database)
        return [_folder(log, source) for source in views.list_sources(log)]

    def recipes(self) -> Sequence[str]:
        """See Rounds."""
        known = {path.stem: recipe.load(path) for path in RECIPES.glob("*.toml")}
        return sorted(name for name, read in known.items() if read.pipeline.data == ROUNDS)

    def watch(self, store: Store, wish: Wish, now: float) -> str:
        """See Rounds."""
        if not wish.address.strip():
            raise PipelineError("no folder is given; expected a path or gs://BUCKET/FOLDER that holds the rounds")
        options = sources.Options(_number("quiet", wish.quiet_s), int(_number("new pictures", wish.min_new)), wish.mode)
        overrides = [line.strip() for line in wish.overrides.splitlines() if line.strip()]
        source = sources.describe(wish.address.strip(), wish.recipe, overrides, options, now)
        return sources.add(RoundLog(store.database), source).source_id

    def pause(self, store: Store, source_id: str, paused: bool) -> None:
        """See Rounds."""
        sources.enable(RoundLog(store.database), source_id, not paused)

    def remove(self, store: Store, source_id: str) -> None:
        """See Rounds."""
        sources.remove(RoundLog(store.database), source_id)

    def look(self, store: Store, source_id: str) -> str:
        """See Rounds."""
        log = RoundLog(store.database)
        return sensor.look_at(log, sources.find(log, source_id), self._launcher(store), store.directory)[1]

    def backfill(self, store: Store, source_id: str, names: Sequence[str], mode: str) -> Sequence[str]:
        """See Rounds."""
        if not names:
            raise PipelineError("no round is chosen; tick one or more")
        return [launch.run_id for launch in sensor.backfill(self._launcher(store), store, source_id, names, mode)]

    def _launcher(self, store: Store) -> LocalLauncher:
        return LocalLauncher(self._engine_of(store), store)


def _folder(log: RoundLog, source: views.SourceView) -> WatchedFolder:
    rounds = [asdict(view) | {"label": view.label} for view in reversed(views.list_rounds(log, source.source_id))]
    launches = [asdict(launch) for launch in views.list_launches(log, source.source_id)]
    return WatchedFolder(asdict(source), rounds, launches)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise PipelineError(f"{name}={text!r} is no number; give for instance 60") from error

"""What the server's handlers work with. One object a server, shared by its threads."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.clock import Clock, SystemClock
from pipeline.engine.reader import Reader
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.server.domain.cluster import Cluster
from pipeline.server.domain.comparison import Comparison
from pipeline.server.domain.models import Models
from pipeline.server.domain.notices import Notices
from pipeline.server.domain.pictures import Pictures
from pipeline.server.domain.recipes import Recipes
from pipeline.server.domain.results import Results
from pipeline.server.domain.rounds import Rounds


class _Own(threading.local):
    """SQLite connections belong to one thread."""

    store: Store | None = None
    engine: Engine | None = None


@dataclass(frozen=True)
class Domain:
    """What is known of our own pipelines, and a KFP endpoint if there is one; see each protocol."""

    results: Results
    recipes: Recipes
    comparison: Comparison
    models: Models
    pictures: Pictures
    rounds: Rounds
    notices: Notices
    cluster: Cluster | None = None


class Services:
    """Access to the state folder and to what is known of our own pipelines.

    Args:
        state_dir: the state folder.
        make_engine: makes the engine that prepares runs (the dispatcher has its own).
        domain: see `Domain`.
        clock: the time.
    """

    def __init__(
        self, state_dir: Path, make_engine: Callable[[Store], Engine], domain: Domain, clock: Clock | None = None
    ) -> None:
        self.state_dir = state_dir
        self.domain = domain
        self.clock = clock or SystemClock()
        self._make_engine = make_engine
        self._own = _Own()

    @property
    def store(self) -> Store:
        """The state folder, for writing; of the calling thread."""
        if self._own.store is None:
            self._own.store = Store.open(self.state_dir)
        return self._own.store

    @property
    def reader(self) -> Reader:
        """The state folder, for looking; of the calling thread."""
        return self.store

    @property
    def engine(self) -> Engine:
        """Prepares runs, retries and reruns; the dispatcher executes them. Of the calling thread."""
        if self._own.engine is None:
            self._own.engine = self._make_engine(self.store)
        return self._own.engine

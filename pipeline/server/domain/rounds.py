"""Rounds of data: what landed, what was rejected, what it launched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.engine.store import Store


@dataclass(frozen=True)
class WatchedFolder:
    """A watched folder or prefix, as `pipeline.rounds.views` tells of it, in plain JSON.

    Attributes:
        source: source_id, address, recipe, overrides, options, registered, enabled, looked, trouble.
        rounds: newest first: label, state, reason, pictures, new_pictures, rejected, reasons, launch, earlier, ...
        launches: newest first: run_id, name, rounds, state, reason, verdict, created.
    """

    source: Mapping[str, Any]
    rounds: Sequence[Mapping[str, Any]]
    launches: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Wish:
    """What a person wants watched, as typed."""

    address: str = ""
    recipe: str = "demo"
    overrides: str = ""
    quiet_s: str = "60"
    min_new: str = "1"
    mode: str = "coalesce"


class Rounds(Protocol):
    """Watched folders. The methods that change something raise PipelineError for what does not fit."""

    def folders(self, store: Store) -> Sequence[WatchedFolder]:
        """Everything that was ever watched."""

    def recipes(self) -> Sequence[str]:
        """Names of recipes to offer."""

    def watch(self, store: Store, wish: Wish, now: float) -> str:
        """Has the server watch a folder from now on; returns the source's id."""

    def pause(self, store: Store, source_id: str, paused: bool) -> None:
        """Pauses a source, or goes on with it."""

    def remove(self, store: Store, source_id: str) -> None:
        """Nobody watches it any more; what it launched stays on record."""

    def look(self, store: Store, source_id: str) -> str:
        """Looks at once instead of in some seconds; returns what is in the way, or an empty text."""

    def backfill(self, store: Store, source_id: str, names: Sequence[str], mode: str) -> Sequence[str]:
        """Launches chosen rounds again; returns the ids of the runs."""

"""What will be launched without anybody doing anything: by the clock, and by data that lands."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.engine import schedule
from pipeline.engine.recurring import RecurringRuns
from pipeline.engine.round_log import RoundLog
from pipeline.engine.store import Store

SHOWN = 5


@dataclass(frozen=True)
class Due:
    """The next time of a schedule.

    Attributes:
        recurring_id: which.
        name: its name.
        words: when it fires, in words.
        at: seconds since 1970.
        problem: why its last launch failed; empty: it did not.
    """

    recurring_id: str
    name: str
    words: str
    at: float
    problem: str


@dataclass(frozen=True)
class Watched:
    """A folder whose new rounds start a run.

    Attributes:
        address: the folder or prefix.
        recipe: what a new round starts.
        looked: when somebody looked last, 0 for never.
        trouble: why that look was in vain.
        waiting: round -> what it waits for.
    """

    address: str
    recipe: str
    looked: float
    trouble: str
    waiting: Sequence[tuple[str, str]]


def due(store: Store, now: float) -> list[Due]:
    """The schedules that fire next, the soonest first."""
    found = []
    for recurring in RecurringRuns(store).enabled():
        times = recurring.next_times(now, 1)
        spec = recurring.spec
        found += [
            Due(recurring.recurring_id, spec.display_name, schedule.in_words(spec.trigger), at, recurring.problem)
            for at in times
        ]
    return sorted(found, key=lambda one: one.at)[:SHOWN]


def watched(store: Store) -> list[Watched]:
    """The folders that are watched, with the rounds in them that are not complete yet."""
    log = RoundLog(store.database)
    found = []
    for source in log.sources():
        if source.enabled:
            waiting = [(s.name, s.waiting) for s in log.sightings(source.source_id).values() if s.waiting]
            found.append(Watched(source.address, source.recipe, source.looked, source.trouble, waiting[:SHOWN]))
    return found

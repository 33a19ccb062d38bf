"""What a recurring run is, and which of its missed times are to fire. Pure; `recurring` keeps them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from itertools import islice, takewhile
from typing import Any

from pipeline.engine import schedule
from pipeline.engine.schedule import IntervalSchedule, Trigger
from pipeline.errors import PipelineError

MOST_AT_ONCE = 10  # KFP's limit
MOST_PREVIEWED = 1000


class Mode(StrEnum):
    """Whether it launches."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


@dataclass(frozen=True)
class RecurringSpec:
    """What a person says about a recurring run; all of it can be edited.

    Attributes:
        display_name: for people; need not be unique.
        trigger: when it fires.
        experiment_id: where its runs belong, empty for the default one.
        pipeline_id: of the catalogue; its newest version at each launch, unless a version is given.
        version_id: a version of the catalogue.
        pipeline_digest: a pipeline given in line, see `Store.keep_pipeline`. Exactly one of the three says what runs
            (a version may come with its pipeline).
        parameters: the pipeline's; strings may hold macros, see `pipeline.engine.macros`.
        cache: False runs everything.
        no_catchup: of several missed times only the latest fires; else every one.
        max_concurrency: 1 to 10 unfinished runs at a time; what is due meanwhile waits.

    Raises:
        PipelineError: no name, no pipeline or two, or a `max_concurrency` out of bounds.
    """

    display_name: str
    trigger: Trigger
    description: str = ""
    experiment_id: str = ""
    pipeline_id: str = ""
    version_id: str = ""
    pipeline_digest: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cache: bool = True
    no_catchup: bool = False
    max_concurrency: int = 1

    def __post_init__(self) -> None:
        if not self.display_name.strip():
            raise PipelineError("a recurring run needs a name; give display_name")
        if isinstance(self.max_concurrency, bool) or not 1 <= self.max_concurrency <= MOST_AT_ONCE:
            raise PipelineError(
                f"max_concurrency={self.max_concurrency} is not possible; expected 1 to {MOST_AT_ONCE} runs at a time"
            )
        if bool(self.pipeline_digest) == bool(self.pipeline_id or self.version_id):
            raise PipelineError(
                "a recurring run needs one pipeline; give pipeline_id, version_id or a pipeline in line"
            )


@dataclass(frozen=True)
class RecurringRun:
    """A recurring run as the store keeps it.

    Attributes:
        spec: what a person said.
        mode: ENABLED or DISABLED.
        created, updated: when; `updated` moves with every change by a person.
        anchor: where the intervals of a trigger without start are counted from.
        since: no time up to here ever fires.
        last_due: every time up to here is dealt with.
        last_index: how many runs it has made, run-now included.
        problem: why the last launch failed, empty when it did not.
    """

    recurring_id: str
    spec: RecurringSpec
    mode: Mode
    created: float
    updated: float
    anchor: float
    since: float
    last_due: float
    last_index: int = 0
    problem: str = ""

    @property
    def trigger(self) -> Trigger:
        """When it fires, intervals counted from where they begin."""
        trigger = self.spec.trigger
        if isinstance(trigger, IntervalSchedule) and not trigger.start:
            return replace(trigger, start=self.anchor)
        return trigger

    def next_times(self, now: float, count: int = 5) -> list[float]:
        """When it fires next, or would if it were enabled."""
        return schedule.next_times(self.trigger, now, count)

    @property
    def is_enabled(self) -> bool:
        """It launches by itself."""
        return self.mode is Mode.ENABLED


def what_catch_up_would_launch(recurring: RecurringRun, now: float) -> list[float]:
    """The missed times that would fire now, or if it were enabled with `catch_up`; the first 1000 of them."""
    return list(islice(pending(recurring, recurring.last_due, now), MOST_PREVIEWED))


def pending(recurring: RecurringRun, last: float, now: float) -> Iterator[float]:
    """The times after `last` up to `now` that are to fire, by its rule for catching up."""
    first = schedule.first_after(recurring.trigger, last)
    if first is None or first > now:
        return iter(())
    if recurring.spec.no_catchup:
        latest = schedule.latest_due(recurring.trigger, last, now)
        return iter([] if latest is None else [latest])
    return takewhile(lambda due: due <= now, schedule.times(recurring.trigger, last))


def spec_to_json(spec: RecurringSpec) -> dict[str, Any]:
    """As JSON; the trigger with its kind."""
    return {**asdict(spec), "trigger": schedule.to_json(spec.trigger)}


def spec_from_json(found: Mapping[str, Any]) -> RecurringSpec:
    """What `spec_to_json` wrote."""
    return RecurringSpec(**{**found, "trigger": schedule.from_json(found["trigger"])})


def difference(before: RecurringSpec, after: RecurringSpec) -> dict[str, Any]:
    """What an edit changed: field -> before and after."""
    old, new = spec_to_json(before), spec_to_json(after)
    changed = [name for name in new if new[name] != old[name]]
    return {"was": {name: old[name] for name in changed}, "now": {name: new[name] for name in changed}}

"""What there is to say about rounds, for the console's page, for `seamline watch` and for machines. Plain data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.engine.round_log import RoundLog
from pipeline.engine.round_records import LANDED, LAUNCHED, WAITING, Launch, Sighting, Version
from pipeline.rounds import plan
from pipeline.rounds import source as sources
from pipeline.rounds.folders import natural
from pipeline.rounds.source import Options


@dataclass(frozen=True)
class SourceView:
    """A watched folder or prefix.

    Attributes:
        registered: a server looks at it (unless paused: not `enabled`).
        looked: when somebody looked last, 0 for never.
        trouble: why that look was in vain.
    """

    source_id: str
    address: str
    recipe: str
    pipeline: str
    overrides: Sequence[str]
    options: Options
    registered: bool
    enabled: bool
    looked: float
    trouble: str
    num_rounds: int


@dataclass(frozen=True)
class LaunchView:
    """A run that rounds launched.

    Attributes:
        name: of the run.
        rounds: names of the rounds it learnt from, oldest first; a corrected one as `round2 v2`.
        state: `INTENDED` while there is no run, then the run's, in KFP's words.
        verdict: attribute to what promote decided: action, reason, difference, low, high.
    """

    run_id: str
    name: str
    rounds: Sequence[str]
    state: str
    reason: str
    verdict: Mapping[str, Any]
    created: float
    ended: float


@dataclass(frozen=True)
class RoundView:
    """A round, or an earlier version of one.

    Attributes:
        state: `waiting`, `rejected`, `landed` or `launched`.
        reason: in words; empty where there is nothing to say.
        landed: when it passed the gate, 0 if not yet.
        pictures: different labelled pictures; `new_pictures`: of them in no other round.
        labelled: label rows that ingest takes; `rejected` those it refuses.
        reasons: category of refusal to how many rows and the first of them.
        launch: what took it up, if anything has.
        earlier: its earlier versions, newest first.
        present: it still lies where it landed.
    """

    source_id: str
    name: str
    version: int
    state: str
    reason: str
    files: int
    bytes: int
    landed: float = 0.0
    pictures: int = 0
    new_pictures: int = 0
    labelled: int = 0
    rejected: int = 0
    reasons: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    digest: str = ""
    launch: LaunchView | None = None
    earlier: Sequence["RoundView"] = ()
    present: bool = True

    @property
    def label(self) -> str:
        """`round2`, or `round2 v2` where it was corrected."""
        return self.name if self.version == 1 else f"{self.name} v{self.version}"


def list_sources(log: RoundLog) -> list[SourceView]:
    """Everything that was ever watched, in the order in which it came."""
    return [
        SourceView(
            source_id=source.source_id,
            address=source.address,
            recipe=source.recipe,
            pipeline=source.pipeline,
            overrides=source.overrides,
            options=sources.options_of(source),
            registered=source.registered,
            enabled=source.enabled,
            looked=source.looked,
            trouble=source.trouble,
            num_rounds=len(log.sightings(source.source_id)),
        )
        for source in log.sources()
    ]


def list_rounds(log: RoundLog, source_id: str) -> list[RoundView]:
    """The rounds of a source, oldest first, each as it stands now with its earlier versions."""
    sightings, versions = log.sightings(source_id), log.versions(source_id)
    launches = {launch.run_key: _launch(launch) for launch in log.launches(source_id)}
    unsettled = plan.unsettled((v for v in versions if v.name in sightings), sightings)
    names = sorted({*sightings, *(version.name for version in versions)}, key=natural)
    return [
        _round(source_id, name, sightings.get(name), [v for v in versions if v.name == name], launches, unsettled)
        for name in names
    ]


def list_launches(log: RoundLog, source_id: str) -> list[LaunchView]:
    """All launches of a source, backfills too, newest first."""
    return [_launch(launch) for launch in reversed(log.launches(source_id))]


def _round(
    source_id: str,
    name: str,
    sighting: Sighting | None,
    versions: Sequence[Version],
    launches: Mapping[str, LaunchView],
    unsettled: Iterable[str],
) -> RoundView:
    views = [_version(version, launches) for version in reversed(versions)]
    if sighting is None:
        return replace(views[0], earlier=views[1:], present=False, reason=_said(views[0].reason, "it is not there now"))
    if sighting.waiting or not views:
        number = versions[-1].version + 1 if versions and versions[-1].state != WAITING else 1
        after = f"a correction of {views[0].label} is arriving: " if number > 1 else ""
        reason = f"{after}{sighting.waiting}"
        return RoundView(source_id, name, number, WAITING, reason, sighting.files, sighting.bytes, earlier=views)
    held = [other for other in unsettled if other != name]
    reason = views[0].reason
    if views[0].state == LANDED and held:
        reason = f"waits for {', '.join(held)}, which is being changed"
    if views[0].version > 1:
        reason = _said(reason, f"corrected: replaces {views[1].label}")
    return replace(views[0], earlier=views[1:], reason=reason)


def _version(version: Version, launches: Mapping[str, LaunchView]) -> RoundView:
    launch = launches.get(version.run_key)
    stuck = launch.reason if launch and not launch.run_id else ""
    return RoundView(
        source_id=version.source_id,
        name=version.name,
        version=version.version,
        state=version.state,
        reason=_said(version.reason, f"its run cannot be made yet: {stuck}" if stuck else ""),
        files=version.files,
        bytes=version.bytes,
        landed=version.landed,
        pictures=version.pictures,
        new_pictures=version.new_pictures,
        labelled=version.labelled,
        rejected=version.rejected,
        reasons=version.reasons,
        digest=version.digest,
        launch=launch if version.state == LAUNCHED else None,
    )


def _launch(launch: Launch) -> LaunchView:
    return LaunchView(
        run_id=launch.run_id,
        name=launch.name,
        rounds=[r["name"] if r["version"] == 1 else f"{r['name']} v{r['version']}" for r in launch.rounds],
        state=launch.state,
        reason=launch.reason,
        verdict=launch.verdict,
        created=launch.created,
        ended=launch.ended,
    )


def _said(*parts: str) -> str:
    return "; ".join(part for part in parts if part)

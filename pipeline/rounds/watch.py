"""One look at one source: what has come, what of it has landed, whether it may teach, and the runs that it is due.

Everything known is in the state folder, so a look may be made by anybody, end anywhere and be made again: looks of two
watchers at once, or of one that was killed, lead to the same launches, each of one run.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from components.errors import StepError
from pipeline.engine.round_log import RoundLog
from pipeline.engine.round_records import INTENDED, LANDED, REJECTED, WAITING, Launch, Sighting, Source, Version
from pipeline.engine.states import RunState
from pipeline.errors import PipelineError
from pipeline.recipe import Recipe
from pipeline.rounds import contents, folders, gate, landing, launching, plan
from pipeline.rounds import source as sources
from pipeline.rounds.folders import Delivery
from pipeline.rounds.landing import Instants
from pipeline.rounds.launching import Launcher


class Watch:
    """Looks at one source.

    Args:
        log: of the state folder; this thread's.
        source: what is watched.
        launcher: makes the runs.
        state_dir: the state folder, where references go if the recipe does not say.
        instants: the clocks.
    """

    def __init__(
        self, log: RoundLog, source: Source, launcher: Launcher, state_dir: Path, instants: Instants = landing.instant
    ) -> None:
        self._log = log
        self._source = source
        self._launcher = launcher
        self._state_dir = state_dir
        self._instants = instants

    def look(self) -> list[Launch]:
        """Looks once, and returns the launches whose runs were made in it.

        Raises:
            PipelineError, StepError, OSError: the folder or the recipe cannot be used; nothing is lost by it.
        """
        recipe = sources.recipe_of(self._source)
        found = folders.deliveries(self._source.address)
        self._forget_absent(found)
        for delivery in found:
            self._examine(delivery, recipe)
        self._intend(recipe)
        return self.finish()

    def finish(self) -> list[Launch]:
        """Makes the runs of all recorded launches that have none, and notes how the others stand."""
        made = []
        for launch in self._log.launches(self._source.source_id):
            if launch.state == INTENDED:
                made += self._make(launch)
            elif launch.state != RunState.SUCCEEDED:  # one that failed may have been retried
                self._follow(launch)
        return made

    def backfill(self, names: list[str], mode: str) -> list[Launch]:
        """Launches chosen rounds again; a launch that was made before, with the same settings, is not repeated.

        Returns:
            The launches, also those that there were before.

        Raises:
            NotFound: no such round. Conflict: one has not landed.
        """
        recipe = sources.recipe_of(self._source)
        versions = self._log.versions(self._source.source_id)
        now = self._instants().wall
        wanted = plan.backfill(self._source, versions, names, mode, gate.settings_digest(recipe), now)
        for launch in wanted:
            self._log.intend(launch, ())
        self.finish()
        keys = {launch.run_key for launch in wanted}
        return [launch for launch in self._log.launches(self._source.source_id) if launch.run_key in keys]

    # What has come

    def _forget_absent(self, found: list[Delivery]) -> None:
        present = {delivery.name for delivery in found}
        for name in self._log.sightings(self._source.source_id):
            if name not in present:
                self._log.forget_sighting(self._source.source_id, name)

    def _examine(self, delivery: Delivery, recipe: Recipe) -> None:
        """Brings what is known of a round up to date."""
        now = self._instants()
        before = self._log.sightings(self._source.source_id).get(delivery.name)
        sighting = landing.sighted(self._source.source_id, delivery, before, now)
        quiet_s = sources.options_of(self._source).quiet_s
        waiting = landing.unfinished(sighting, delivery, self._latest(delivery.name), quiet_s, now)
        if not waiting:
            waiting = self._settle(delivery, sighting, recipe)
        if before is None or replace(sighting, waiting=waiting) != before:
            self._log.put_sighting(replace(sighting, waiting=waiting))

    def _settle(self, delivery: Delivery, sighting: Sighting, recipe: Recipe) -> str:
        """Examines a round that stands still; why it must be looked at again, or nothing."""
        latest = self._latest(delivery.name)
        if latest and latest.fingerprint == sighting.fingerprint:
            if latest.marker != delivery.marker:
                self._log.refresh_version(latest, sighting.fingerprint, delivery.marker)
            if self._is_settled(latest, recipe):
                return ""
        try:
            of_files = contents.digests(self._log, self._source.source_id, delivery)
            if folders.listed_again(delivery).fingerprint != delivery.fingerprint:
                return "its files changed while they were read"
            self._record(delivery, of_files, latest, recipe)
        except (PipelineError, StepError, OSError) as error:  # this round cannot be read; the others can
            return str(error)
        return ""

    def _is_settled(self, latest: Version, recipe: Recipe) -> bool:
        """Whether its examination still holds; what has landed stays so, whatever the terms are now."""
        return latest.state not in (WAITING, REJECTED) or latest.checked == self._terms(latest.name, recipe)

    def _record(self, delivery: Delivery, of_files: Mapping[str, str], latest: Version | None, recipe: Recipe) -> None:
        digest = contents.digest(delivery, dict(of_files))
        if latest and latest.digest == digest and latest.state not in (WAITING, REJECTED):
            self._log.refresh_version(latest, delivery.fingerprint, delivery.marker)
            return
        # Who only waits for more pictures has not been anything yet: more of them make no new version.
        is_next = latest is not None and latest.digest != digest and latest.state != WAITING
        number = (latest.version if latest else 1) + int(is_next)
        self._log.put_version(self._examined(delivery, digest, of_files, number, recipe))

    def _examined(
        self, delivery: Delivery, digest: str, of_files: Mapping[str, str], number: int, recipe: Recipe
    ) -> Version:
        versions = self._log.versions(self._source.source_id)
        others = plan.in_force(versions, delivery.name)
        structs = {name: version.struct for name, version in others.items()} | {delivery.name: delivery.struct(digest)}
        in_order = [structs[name] for name in sorted(structs, key=folders.natural)]
        labels = gate.read_labels(in_order, delivery.name, recipe)
        pictures = {of_files[path] for path in labels.pictures if path in of_files}
        known = self._log.contents_elsewhere(self._source.source_id, list(others), pictures)
        min_new = sources.options_of(self._source).min_new
        num_new = len(pictures - known)
        state, reason = gate.judge(labels, num_new, min_new, recipe.groups["ingest"].max_rejected)
        now = self._instants().wall
        return Version(
            source_id=self._source.source_id,
            name=delivery.name,
            version=number,
            digest=digest,
            fingerprint=delivery.fingerprint,
            marker=delivery.marker,
            struct=delivery.struct(digest),
            state=state,
            reason=reason,
            checked=self._terms(delivery.name, recipe),
            seen=now,
            landed=now if state == LANDED else 0.0,
            files=len(delivery.entries),
            bytes=sum(entry.size for entry in delivery.entries),
            pictures=len(pictures),
            new_pictures=num_new,
            labelled=labels.labelled,
            rejected=labels.rejected,
            reasons=labels.reasons,
        )

    def _latest(self, name: str) -> Version | None:
        return plan.current(self._log.versions(self._source.source_id)).get(name)

    def _terms(self, name: str, recipe: Recipe) -> str:
        versions = self._log.versions(self._source.source_id)
        others = {other: version.digest for other, version in plan.in_force(versions, name).items()}
        return gate.terms(recipe, sources.options_of(self._source).min_new, others)

    # What it launches

    def _intend(self, recipe: Recipe) -> None:
        """Records the launches that are due; another watcher may have been faster, then there is nothing to do."""
        mode = sources.options_of(self._source).mode
        versions = self._present_versions()
        if plan.unsettled(versions, self._log.sightings(self._source.source_id)):
            return
        now = self._instants().wall
        for due in plan.due(self._source, versions, mode, gate.settings_digest(recipe), now):
            self._log.intend(due.launch, due.takes_up)

    def _present_versions(self) -> list[Version]:
        """Versions of rounds that still lie where they landed: nobody can learn from one that is gone."""
        present = self._log.sightings(self._source.source_id)
        return [version for version in self._log.versions(self._source.source_id) if version.name in present]

    def _make(self, launch: Launch) -> list[Launch]:
        """Makes the run of a recorded launch; what stands in the way is recorded, and tried again at the next look."""
        labels = {"recipe": self._source.recipe, "overrides": list(self._source.overrides)}
        labels |= {"source": self._source.address}
        try:
            order = launching.order_of(launch, sources.recipe_of(self._source), labels, self._state_dir)
            run_id = self._launcher.launch(order)
        except PipelineError as error:
            self._log.move_launch(launch.run_key, reason=str(error))
            return []
        now = self._instants().wall
        self._log.move_launch(launch.run_key, run_id=run_id, state=RunState.PENDING, reason="", created=now)
        return [replace(launch, run_id=run_id, state=RunState.PENDING, reason="", created=now)]

    def _follow(self, launch: Launch) -> None:
        try:
            found = self._launcher.outcome(launch.run_id)
        except PipelineError as error:
            found = launching.Outcome(launch.state, str(error), launch.verdict)
        known = (launch.state, launch.reason, dict(launch.verdict))
        if (found.state, found.reason, dict(found.verdict)) != known:
            ended = found.ended if launching.has_ended(found.state) else 0.0
            self._log.move_launch(
                launch.run_key, state=found.state, reason=found.reason, verdict=found.verdict, ended=ended
            )

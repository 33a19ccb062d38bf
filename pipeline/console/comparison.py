"""Implements pipeline.server.domain.comparison. What needs numpy and pandas is imported when it is first asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from components.errors import DataError
from pipeline.engine.records import Run
from pipeline.engine.store import Store
from pipeline.server.domain.comparison import ChangedVerdict, PairedMetrics

if TYPE_CHECKING:
    from pipeline.console.evidence import Joined

RESAMPLES, SEED = 1000, 0
_KEPT = 32


@dataclass(frozen=True)
class Made:
    """References that a run of our pipeline made: its manifest and one ensemble for each attribute."""

    manifest: str
    ensembles: tuple[str, ...]


class LocalComparison:
    """See pipeline.server.domain.comparison.Comparison."""

    def paired(self, store: Store, first: Run, second: Run) -> PairedMetrics:
        """See Comparison."""
        ours, theirs = made_by(store, first), made_by(store, second)
        for run, made in ((first, ours), (second, theirs)):
            if made is None:
                return PairedMetrics(reason=f"run {run.run_id[:8]} has no ensembles that could be compared (yet)")
        try:
            return _paired(ours, theirs)  # type: ignore[arg-type]
        except DataError as error:
            return PairedMetrics(reason=f"what the runs made is no longer there: {error}")

    def verdicts(self, store: Store, first: Run, second: Run) -> Sequence[ChangedVerdict]:
        """See Comparison."""
        ours, theirs = made_by(store, first), made_by(store, second)
        try:
            return _verdicts(ours, theirs) if ours and theirs else []
        except DataError:
            return []


def made_by(store: Store, run: Run) -> Made | None:
    """What a run of ours made so far; None where it has no ensemble, as runs of other pipelines."""
    tasks = store.tasks(run.run_id)
    manifests = [str(t.outputs.parameters["manifest"]) for t in tasks if t.outputs.parameters.get("manifest")]
    found = [str(t.outputs.parameters["ensemble"]) for t in tasks if t.is_leaf and t.outputs.parameters.get("ensemble")]
    return Made(manifests[0], tuple(found)) if manifests and found else None


@lru_cache(maxsize=_KEPT)
def _joined(first: Made, second: Made) -> "tuple[Joined, ...]":
    """The attributes of both with the same task and classes, in the second's order."""
    from pipeline.console import evidence

    before = {side.attribute: side for side in (evidence.side(e, first.manifest) for e in first.ensembles)}
    after = [evidence.side(e, second.manifest) for e in second.ensembles]
    pairs = [(before[side.attribute], side) for side in after if side.attribute in before]
    alike = [(a, b) for a, b in pairs if a.classes == b.classes and a.task.name == b.task.name]
    return tuple(evidence.joined(one, other) for one, other in alike)


@lru_cache(maxsize=_KEPT)
def _paired(first: Made, second: Made) -> PairedMetrics:
    from pipeline.console import intervals

    joined = _joined(first, second)
    if not joined:
        return PairedMetrics(reason="the two runs have no attribute with the same task and classes in common")
    overlaps = [intervals.overlap(one) for one in joined]
    return PairedMetrics(intervals.rows(joined, RESAMPLES, SEED), overlaps, RESAMPLES, SEED)


@lru_cache(maxsize=_KEPT)
def _verdicts(first: Made, second: Made) -> tuple[ChangedVerdict, ...]:
    from pipeline.console import changed_verdicts

    found = [verdict for one in _joined(first, second) for verdict in changed_verdicts.of(one)]
    return tuple(sorted(found, key=changed_verdicts.by_importance))

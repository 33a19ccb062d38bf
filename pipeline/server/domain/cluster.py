"""A KFP endpoint beside the embedded engine: the same console looks at it, through the same API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.engine.records import Run
from pipeline.engine.rerun import PlanRow


@dataclass(frozen=True)
class ClusterRun:
    """A run on the endpoint. `word` is one of the eight state words, `state` KFP's own; times as the endpoint says."""

    run_id: str
    name: str
    state: str
    word: str
    created_at: str
    finished_at: str
    problem: str
    address: str


@dataclass(frozen=True)
class ClusterRow:
    """One row of the endpoint's task list; without a tree, as KFP tells it."""

    name: str
    word: str


@dataclass(frozen=True)
class Difference:
    """One line of the parity report."""

    kind: str
    what: str
    words: str


class Cluster(Protocol):
    """The endpoint. Every method may raise PipelineError: it does not answer, or refuses."""

    @property
    def address(self) -> str:
        """Where it is."""

    def runs(self) -> Sequence[ClusterRun]:
        """The newest runs."""

    def run(self, run_id: str) -> ClusterRun:
        """One run."""

    def rows(self, run_id: str) -> Sequence[ClusterRow]:
        """What the endpoint tells of the run's tasks."""

    def tasks(self, run_id: str) -> Sequence[str]:
        """Labels of the tasks that can be repeated."""

    def terminate(self, run_id: str) -> None:
        """Stops a run."""

    def retry(self, run_id: str) -> None:
        """Goes on with a failed run."""

    def plan(self, run_id: str, task: str, changes: Mapping[str, str]) -> Sequence[PlanRow]:
        """What repeating one task would run and reuse."""

    def rerun(self, run_id: str, task: str, changes: Mapping[str, str]) -> str:
        """Repeats one task in a new run; returns its id."""

    def parity(self, text: str, run: Run) -> Sequence[Difference]:
        """What is different there, for a run of this machine."""

    def send(self, text: str, run: Run) -> str:
        """Starts a run of this machine there; returns its id."""

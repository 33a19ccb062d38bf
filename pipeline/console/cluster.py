"""Implements pipeline.server.domain.cluster over a KFP v2beta1 endpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from pipeline import parity, words
from pipeline.engine.records import Run
from pipeline.engine.rerun import PlanRow
from pipeline.engine.states import RunState
from pipeline.remote import Endpoint, RemoteRun
from pipeline.server.domain.cluster import ClusterRow, ClusterRun, Difference


class KfpCluster:
    """See pipeline.server.domain.cluster.Cluster."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    @property
    def address(self) -> str:
        """See Cluster."""
        return self._endpoint.host

    def runs(self) -> Sequence[ClusterRun]:
        """See Cluster."""
        return [self._shown(run) for run in self._endpoint.runs(limit=50)]

    def run(self, run_id: str) -> ClusterRun:
        """See Cluster."""
        return self._shown(self._endpoint.run(run_id))

    def rows(self, run_id: str) -> Sequence[ClusterRow]:
        """See Cluster."""
        return [ClusterRow(name, _word(state)) for name, state in self._endpoint.rows(run_id)]

    def tasks(self, run_id: str) -> Sequence[str]:
        """See Cluster."""
        return self._endpoint.labels(run_id)

    def terminate(self, run_id: str) -> None:
        """See Cluster."""
        self._endpoint.terminate(run_id)

    def retry(self, run_id: str) -> None:
        """See Cluster."""
        self._endpoint.retry(run_id)

    def plan(self, run_id: str, task: str, changes: Mapping[str, str]) -> Sequence[PlanRow]:
        """See Cluster."""
        return self._endpoint.plan_rerun(run_id, task, changes).rows

    def rerun(self, run_id: str, task: str, changes: Mapping[str, str]) -> str:
        """See Cluster."""
        return self._endpoint.rerun(run_id, task, self._endpoint.plan_rerun(run_id, task, changes))

    def parity(self, text: str, run: Run) -> Sequence[Difference]:
        """See Cluster."""
        return [Difference(**asdict(note)) for note in parity.report(text, run.parameters)]

    def send(self, text: str, run: Run) -> str:
        """See Cluster."""
        return self._endpoint.submit_version(text, run.parameters, run.name)

    def _shown(self, run: RemoteRun) -> ClusterRun:
        address = f"{self._endpoint.host}/#/runs/details/{run.run_id}"
        return ClusterRun(**asdict(run), word=_word(run.state), address=address)


def _word(state: str) -> str:
    word = words.state_word(state)
    return word if word in words.SHAPES else words.RUN_WORDS[RunState.PENDING]

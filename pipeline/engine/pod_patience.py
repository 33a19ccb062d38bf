"""What an attempt waits for in a cluster, since when, and when it has waited long enough."""

from collections.abc import Callable

from pipeline.engine import pod_status
from pipeline.engine.cluster_place import ClusterPlace
from pipeline.engine.failures import Failure
from pipeline.engine.pod_status import Events, Wait, Waiting

REFUSED_S = 15.0
"""How long a refusal is doubted: an API server that has just started does not know all rights and quotas yet."""
EXPLAIN_S = 30.0
"""How long a node prepares a Pod before its events are looked at for what keeps it, and between two such looks."""


class Patience:
    """The waiting of one attempt.

    Args:
        place: how long what may take.
        monotonic: seconds since some moment.

    Attributes:
        waiting: why it has not begun; None once it has.
    """

    def __init__(self, place: ClusterPlace, monotonic: Callable[[], float]) -> None:
        self._place = place
        self._monotonic = monotonic
        self._since = 0.0
        self._looked_at = 0.0
        self._trouble = ""
        self.waiting: Waiting | None = None

    @property
    def text(self) -> str:
        """What it waits for, in words; empty once it has begun."""
        parts = (self.waiting.text, self._trouble) if self.waiting else ()
        return ": ".join(part for part in parts if part)

    def wait(self, now: Waiting | None) -> None:
        """Takes down what it waits for; the same kind of reason goes on from when it began."""
        if now and not (self.waiting and self.waiting.kind is now.kind):
            self._since = self._looked_at = self._monotonic()
            self._trouble = ""
        self.waiting = now

    def refused(self, message: str) -> Failure | None:
        """The API server refuses its Pod: the failure, once that is no longer doubted."""
        failure = pod_status.refused(message)
        self.wait(Waiting(Wait.NEVER if failure else Wait.ROOM, message))
        return failure if self._monotonic() - self._since >= REFUSED_S else None

    def ends(self, events: Callable[[], Events]) -> Failure | None:
        """The failure of a Pod that has waited long enough for what does not come.

        Args:
            events: asks the cluster what happened to the Pod.
        """
        wait = self.waiting
        if wait is None or wait.kind is Wait.ROOM:
            return None
        if wait.kind is Wait.NODE:
            self._look_for_trouble(events)
            return None
        patience = {Wait.IMAGE: self._place.image_wait_s, Wait.MISFIT: self._place.misfit_wait_s}.get(wait.kind, 0.0)
        if self._monotonic() - self._since < patience or (wait.kind is Wait.MISFIT and not patience):
            return None
        if wait.kind is Wait.MISFIT and pod_status.autoscaler_hopes(events()):
            self._since = self._monotonic()
            return None
        return pod_status.never_began(wait, patience)

    def _look_for_trouble(self, events: Callable[[], Events]) -> None:
        """A node that cannot mount a volume does not say so in the Pod's status."""
        if self._monotonic() - self._looked_at >= EXPLAIN_S:
            self._looked_at = self._monotonic()
            self._trouble = pod_status.trouble_at_node(events())

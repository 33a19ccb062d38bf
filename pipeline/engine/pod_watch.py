"""The Pods of one state folder as the cluster last told: one list and one watch for all of them, in a thread.

A watch also tells how a Pod ended that is deleted at the same moment; a look every second would miss it.
"""

import logging
import threading
import time
from dataclasses import dataclass

from pipeline.engine.kubernetes_api import Cluster, Json, Refused, Unreachable

LOG = logging.getLogger("seamline.engine")
_RECONNECT_S = 2.0


@dataclass(frozen=True)
class Seen:
    """A Pod as it was last seen; `gone` when it has been deleted since."""

    pod: Json
    gone: bool = False


class PodMirror:
    """Knows the Pods that a selector chooses: those that are there, and those gone that somebody follows."""

    def __init__(self, cluster: Cluster, selector: str) -> None:
        self._cluster = cluster
        self._selector = selector
        self._seen: dict[str, Seen] = {}
        self._followed: set[str] = set()
        self._lock = threading.Lock()

    def start(self) -> "PodMirror":
        """Begins to watch, in a thread that ends with the process."""
        threading.Thread(target=self._watch_for_ever, name="pods", daemon=True).start()
        return self

    def get(self, name: str) -> Seen | None:
        """What is known of a Pod; None when nothing is."""
        return self._seen.get(name)

    def follow(self, name: str) -> None:
        """Keeps from now on how a Pod was last seen after it is gone, until it is forgotten."""
        with self._lock:
            self._followed.add(name)

    def forget(self, name: str) -> None:
        """Drops a Pod that nobody asks for any more."""
        with self._lock:
            self._followed.discard(name)
            self._seen.pop(name, None)

    def look(self) -> None:
        """Lists all Pods, then follows their changes until the server ends the stream.

        Raises:
            Unreachable, Refused: as the cluster.
        """
        pods, version = self._cluster.pods(self._selector)
        self._replace({pod["metadata"]["name"]: pod for pod in pods})
        while version:
            before = version
            for kind, pod in self._cluster.changes(self._selector, version):
                version = pod["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    self._put(pod, gone=kind == "DELETED")
            if version == before:
                return  # nothing new for the length of a watch: a list makes sure

    def _put(self, pod: Json, gone: bool) -> None:
        name = pod["metadata"]["name"]
        with self._lock:
            if gone and name not in self._followed:
                self._seen.pop(name, None)
            else:
                self._seen[name] = Seen(pod, gone)

    def _replace(self, pods: dict[str, Json]) -> None:
        with self._lock:
            gone = self._followed & self._seen.keys() - pods.keys()
            self._seen = {name: Seen(self._seen[name].pod, gone=True) for name in gone} | {
                name: Seen(pod) for name, pod in pods.items()
            }

    def _watch_for_ever(self) -> None:
        while True:
            try:
                self.look()
            except (Unreachable, Refused) as error:  # a lost connection, or a version too old to go on from
                LOG.info("the watch of Pods begins anew: %s", error)
                time.sleep(_RECONNECT_S)
            except Exception:  # without the watch every task would seem to run for ever
                LOG.exception("the watch of Pods begins anew after an error")
                time.sleep(_RECONNECT_S)


def watching(cluster: Cluster, selector: str) -> PodMirror:
    """A mirror that watches."""
    return PodMirror(cluster, selector).start()

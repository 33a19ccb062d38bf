"""Runs each attempt of a task as a Pod of a Kubernetes cluster. The cluster schedules; the engine decides and repeats.

What it knows of an attempt lies in the attempt's folder and in the cluster: an engine that takes over needs no more
than the handle. `pod.json` is the Pod as it was asked for, `exit.json` how it ended, written before it is deleted.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pipeline.engine import exit_note, pod, pod_status
from pipeline.engine.cluster_place import ClusterPlace
from pipeline.engine.failures import Failure
from pipeline.engine.kubernetes_api import Cluster, Json, Refused, Unreachable
from pipeline.engine.launch import Exit, Job, refuse_long_arguments
from pipeline.engine.pod_claim import NodePools
from pipeline.engine.pod_log import LogCopy
from pipeline.engine.pod_patience import Patience
from pipeline.engine.pod_status import Wait, Waiting
from pipeline.engine.pod_watch import PodMirror, Seen, watching

LOG = logging.getLogger("seamline.engine")
CONFIRM_S = 5.0
DRAIN_S = 60.0
LOST_S = 60.0
NOTHING: Mapping[str, str] = {}
_KILL_GRACE_S = 1  # 0 would forget the Pod before its node has ended it
_TERM, _KILL = -15, -9


@dataclass
class _Watched:
    """One attempt. Times are monotonic, -1 for not yet.

    Attributes:
        patience: what it waits for.
        unmade: the Pod that the cluster has not taken yet.
        held_since: see launch.Queueing.
        asked: the signal that the engine has asked for, 0 for none.
        ending_since: when its deletion was first seen.
        ended_at: when its end was first seen.
        looked_at: when the cluster was last asked for this one Pod.
    """

    patience: Patience
    unmade: Json | None = None
    held_since: float | None = None
    asked: int = 0
    ending_since: float = -1.0
    ended_at: float = -1.0
    looked_at: float = -CONFIRM_S
    log: LogCopy | None = None
    made: Json | None = field(default=None, repr=False)


class KubernetesLauncher:
    """Implements launch.Queueing by Pods.

    Args:
        connect: makes the API's client, when it is first needed.
        place: where, and as whom.
        state_dir: the state folder, which the Pods see at the same path.
        environment: of every Pod; what a task sets beats it.
        watch: makes what follows all Pods.
        copy: makes what follows one Pod's log.
        monotonic: seconds since some moment.
    """

    def __init__(
        self,
        connect: Callable[[], Cluster],
        place: ClusterPlace,
        state_dir: Path,
        environment: Mapping[str, str] = NOTHING,
        *,
        watch: Callable[[Cluster, str], PodMirror] = watching,
        copy: Callable[[Cluster, str, Path], LogCopy] = LogCopy,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._place = place
        self._state_dir = state_dir
        self._environment = environment
        self._watch = watch
        self._copy = copy
        self._monotonic = monotonic
        self._watched: dict[str, _Watched] = {}
        self._pools = NodePools(place.claim)

    @cached_property
    def _cluster(self) -> Cluster:
        return self._connect()

    @cached_property
    def _mirror(self) -> PodMirror:
        return self._watch(self._cluster, pod.selector(self._state_dir))

    def start(self, job: Job) -> str:
        """See Launcher. Nothing is asked of the cluster yet, but that there is one."""
        _ = self._cluster
        refuse_long_arguments(job.command)
        job = replace(job, environment={**self._environment, **job.environment})
        made = pod.manifest(job, self._place, self._state_dir)
        (job.directory / "pod.json").write_text(json.dumps(made, indent=1), encoding="utf-8")
        if os.geteuid() == 0:
            _hand_over(job.directory, self._place.uid)
        handle = json.dumps({"pod": made["metadata"]["name"], "directory": str(job.directory)})
        self._watched[handle] = _Watched(self._patience(), made=made)
        return handle

    def release(self, handle: str) -> None:
        """See Launcher. The Pod's name is the attempt's, so that it is made once whatever happens meanwhile."""
        watched = self._watched[handle]
        self._mirror.follow(_name(handle))  # watches from here on
        watched.unmade, watched.made = watched.made, None
        self._make(watched)

    def poll(self, handle: str) -> Exit | None:
        """See Launcher. A success is one that the cluster has reported; what is not known, runs on."""
        noted = exit_note.read(_directory(handle))
        if noted:
            self._drop(handle)
            return noted
        watched = self._follow(handle)
        try:
            ended = self._look(handle, watched)
        except (Unreachable, Refused) as error:  # refused: a token is being renewed, or a right is missing just now
            if watched.unmade:
                watched.patience.wait(Waiting(Wait.ROOM, str(error)))
            return None
        if ended is None or not self._log_is_whole(handle, watched):
            return None
        ended = exit_note.with_usage(_directory(handle), ended)
        exit_note.write(_directory(handle), ended)
        self._delete(_name(handle), _KILL_GRACE_S)
        self._drop(handle)
        return ended

    def waits(self, handle: str) -> str:
        """See Queueing."""
        watched = self._watched.get(handle)
        return watched.patience.text if watched else ""

    def held_since(self, handle: str) -> float | None:
        """See Queueing."""
        watched = self._watched.get(handle)
        return watched.held_since if watched else None

    def signal(self, handle: str, kill: bool) -> None:
        """See Launcher."""
        watched = self._follow(handle)
        wanted = _KILL if kill else _TERM
        if watched.asked in (wanted, _KILL):
            return
        if self._delete(_name(handle), _KILL_GRACE_S if kill else round(self._place.grace_s)):
            watched.asked = wanted

    def _patience(self) -> Patience:
        return Patience(self._place, self._monotonic)

    def _follow(self, handle: str) -> _Watched:
        """What is known of an attempt, whoever has started it."""
        if handle not in self._watched:
            self._watched[handle] = _Watched(self._patience())
            self._mirror.follow(_name(handle))
        return self._watched[handle]

    def _look(self, handle: str, watched: _Watched) -> Exit | None:
        """How it ended, as far as the cluster tells now."""
        if watched.unmade or watched.made:
            return self._unmade(watched)
        seen = self._seen(_name(handle), watched)
        if seen is None:
            return None
        watched.patience.wait(pod_status.waiting(seen.pod))
        watched.held_since = pod_status.held_since(seen.pod)
        if pod_status.begun(seen.pod):
            watched.log = watched.log or self._copy(self._cluster, _name(handle), _directory(handle) / "log").start()
        ended = pod_status.ending(seen.pod)
        if seen.gone or (ended and "deletionTimestamp" in seen.pod["metadata"]):
            return self._deleted(seen.pod, watched)
        failure = watched.patience.ends(lambda: self._cluster.events(_name(handle)))
        return ended or _failed(failure) or self._lost(seen.pod, watched)

    def _unmade(self, watched: _Watched) -> Exit | None:
        return Exit(watched.asked) if watched.asked else _failed(self._make(watched))

    def _make(self, watched: _Watched) -> Failure | None:
        """Asks the cluster for the Pod; what it refuses for good is the failure, anything else waits."""
        if not watched.unmade:
            return None
        try:
            self._cluster.create(watched.unmade)
        except Refused as error:
            return watched.patience.refused(str(error))
        except Unreachable as error:
            watched.patience.wait(Waiting(Wait.ROOM, str(error)))
            return None
        self._pools.add(watched.unmade, self._cluster)
        watched.unmade = None
        watched.patience.wait(None)
        return None

    def _seen(self, name: str, watched: _Watched) -> Seen | None:
        """What is known of a Pod. That one is gone is only believed when the cluster, asked for it, says so."""
        seen = self._mirror.get(name)
        if seen and not seen.gone or seen and pod_status.ending(seen.pod):
            return seen
        if self._monotonic() - watched.looked_at < CONFIRM_S:
            return None
        watched.looked_at = self._monotonic()
        found = self._cluster.pod(name)
        never_seen = {"metadata": {"name": name}}
        return Seen(found) if found else Seen(seen.pod if seen else never_seen, gone=True)

    def _lost(self, body: Json, watched: _Watched) -> Exit | None:
        """A Pod that is being deleted and does not end: its node does not answer any more."""
        if "deletionTimestamp" not in body["metadata"]:
            return None
        if watched.ending_since < 0:
            watched.ending_since = self._monotonic()
        grace = int(body["metadata"].get("deletionGracePeriodSeconds") or 0)
        if self._monotonic() - watched.ending_since < grace + LOST_S:
            return None
        node = body.get("spec", {}).get("nodeName", "its node")
        return Exit(watched.asked or None, failure=pod_status.preempted(f"{node} is lost: it does not answer"))

    def _deleted(self, body: Json, watched: _Watched) -> Exit:
        ended = pod_status.ending(body)
        if watched.asked:  # by us: the engine knows why
            return Exit(ended.code if ended and ended.code is not None else watched.asked)
        try:
            events = self._cluster.events(body["metadata"]["name"])
        except (Refused, Unreachable):
            events = []
        return pod_status.deleted(body, events)

    def _log_is_whole(self, handle: str, watched: _Watched) -> bool:
        """Waits for the end of the log, for a while: a node that is gone has taken it along."""
        if watched.log is None:
            return True
        if watched.ended_at < 0:
            watched.ended_at = self._monotonic()
            watched.log.end()
        return watched.log.is_complete or self._monotonic() - watched.ended_at > DRAIN_S

    def _delete(self, name: str, grace_s: int) -> bool:
        try:
            self._cluster.delete(name, grace_s)
        except (Refused, Unreachable) as error:
            LOG.warning("Pod %s cannot be deleted: %s", name, error)
            return False
        return True

    def _drop(self, handle: str) -> None:
        self._watched.pop(handle, None)
        self._mirror.forget(_name(handle))


def _failed(failure: Failure | None) -> Exit | None:
    return Exit(None, failure=failure) if failure else None


def _hand_over(directory: Path, uid: int) -> None:
    """Makes the attempt's folder the task's own, where the engine is root and its Pods are not."""
    for path in (directory, *directory.rglob("*")):
        shutil.chown(path, uid, uid)


def _read(handle: str) -> dict[str, str]:
    body: dict[str, str] = json.loads(handle)
    return body


def _name(handle: str) -> str:
    return _read(handle)["pod"]


def _directory(handle: str) -> Path:
    return Path(_read(handle)["directory"])

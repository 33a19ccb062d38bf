"""Warns of a claim that is on one node at a time under Pods that ask for different nodes."""

import json
import logging
from typing import Any

from pipeline.engine.kubernetes_api import Cluster, Refused, Unreachable

LOG = logging.getLogger("seamline.engine")
_ON_ONE_NODE = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})


class NodePools:
    """The node selectors of the Pods that were made, and the claim that all of them mount.

    Only a warning: a volume may be on several nodes whatever its claim says, for instance one on NFS.

    Args:
        claim: its name, empty for none.
    """

    def __init__(self, claim: str) -> None:
        self._claim = claim
        self._selectors: set[str] = set()
        self._is_known = not claim

    def add(self, pod: dict[str, Any], cluster: Cluster) -> None:
        """Takes note of a Pod that has been made; the second selector has the claim looked up, once."""
        self._selectors.add(json.dumps(pod["spec"].get("nodeSelector", {}), sort_keys=True))
        if self._is_known or len(self._selectors) < 2:
            return
        try:
            modes = cluster.access_modes(self._claim)
        except Refused:  # its account may not look at claims
            modes = []
        except Unreachable:
            return
        self._is_known = True
        if modes and _ON_ONE_NODE.issuperset(modes):
            LOG.warning(
                "claim %s is %s, so it is on one node at a time, but tasks ask for different nodes (%s): some may wait "
                "for ever; make it ReadWriteMany, or let all tasks ask for the same nodes",
                self._claim,
                ", ".join(modes),
                ", ".join(sorted(self._selectors)),
            )

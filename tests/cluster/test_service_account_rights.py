"""The launcher's calls and the role of its service account that is shipped: all of them, and nothing beside them."""

from contextlib import closing
from typing import Any

import pytest

from pipeline.engine import pod
from pipeline.engine.kubernetes_api import Refused, connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_every_call_of_the_launcher_is_allowed_by_the_role_that_is_shipped(lab: Any, shells: Any, until: Any) -> None:
    cluster, chosen = connect(lab.place), "calls=yes"
    container = {"name": pod.CONTAINER, "image": shells.IMAGE, "command": ["echo", "heard"]}
    metadata = {"name": "calls", "labels": {"calls": "yes"}}
    spec = {"restartPolicy": "Never", "containers": [container]}
    cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    until(lambda: cluster.pod("calls")["status"]["phase"] == "Succeeded", "the Pod has ended")
    assert [made["metadata"]["name"] for made in cluster.pods(chosen)[0]] == ["calls"]
    with closing(cluster.changes(chosen, "")) as changes:
        assert next(changes)[0] == "ADDED"
    assert b"".join(cluster.log("calls", follow=False)) == b"heard\n"
    assert "Scheduled" in [reason for reason, _ in cluster.events("calls")]
    assert cluster.access_modes("state") == ["ReadWriteMany"]
    cluster.delete("calls", 1)


def test_the_role_that_is_shipped_allows_nothing_beside_it(lab: Any) -> None:
    cluster = connect(lab.place)
    for path in (
        f"/api/v1/namespaces/{lab.place.namespace}/secrets",
        "/api/v1/namespaces/default/pods",
        "/api/v1/nodes",
    ):
        with pytest.raises(Refused, match="seamline-console.* cannot list"):
            cluster.ask("GET", path)

"""A real API server takes the manifests. Needs SEAMLINE_KUBECONFIG; works in a name space that is removed again."""

import copy
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.k8s import policies, published
from tests.k8s.manifests import SUPPORTED, Combination, Manifest, build, title

KUBECONFIG = os.environ.get("SEAMLINE_KUBECONFIG", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not KUBECONFIG, reason="not run: no SEAMLINE_KUBECONFIG, so no real API server"),
]
KUBECTL = Path(sys.executable).with_name("kubectl")
CLUSTER_WIDE = {"Namespace", "PriorityClass"}
MAY = {(verb, kind) for (_, kind), verbs in policies.ENGINE.items() for verb in verbs}
VERBS = ("create", "get", "list", "watch", "delete", "patch")
KINDS = ("pods", "pods/log", "pods/exec", "events", "persistentvolumeclaims", "jobs", "secrets", "configmaps",
    "serviceaccounts", "roles")  # fmt: skip


def kubectl(*words: str, given: Manifest | None = None) -> subprocess.CompletedProcess[str]:
    text = json.dumps(given) if given else None
    return subprocess.run(
        [KUBECTL, "--kubeconfig", KUBECONFIG, *words], input=text, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"seamline-test-{uuid.uuid4().hex[:8]}"
    assert kubectl("create", "namespace", name).returncode == 0
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def served() -> set[str]:
    """The kinds that the API server knows, as `apiVersion/Kind`."""
    lines = kubectl("api-resources", "--no-headers").stdout.splitlines()
    return {"/".join([*line.split()[-3:-2], line.split()[-1]]) for line in lines}


def moved(made: Manifest, namespace: str) -> Manifest:
    """An object in another name space; a name of its own where it is the cluster's."""
    there = copy.deepcopy(made)
    if made["kind"] in CLUSTER_WIDE:
        there["metadata"]["name"] += f"-{namespace}"
    else:
        there["metadata"]["namespace"] = namespace
    for subject in there.get("subjects", ()):
        subject["namespace"] = namespace
    return there


@pytest.mark.parametrize("overlay", sorted(SUPPORTED))
def test_the_api_server_takes_every_object_that_it_knows(overlay: str, namespace: str, served: set[str]) -> None:
    objects = build(Combination(overlay, SUPPORTED[overlay]))
    unknown = {title(o) for o in objects if f"{o['apiVersion']}/{o['kind']}" not in served}
    expected = {title(o) for o in objects if (o["apiVersion"], o["kind"]) in published.NOT_IN_1_20}
    expected |= {title(o) for o in objects if published.is_of_gke(o)}
    assert unknown <= expected
    for made in objects:
        if title(made) not in unknown:
            done = kubectl("create", "--dry-run=server", "-f", "-", given=moved(made, namespace))
            assert done.returncode == 0, f"{title(made)}: {done.stderr}"


def test_the_engine_may_do_its_work_and_nothing_else(namespace: str) -> None:
    rights = [o for o in build(Combination("kind")) if o["kind"] in ("ServiceAccount", "Role", "RoleBinding")]
    for made in rights:
        assert kubectl("apply", "-f", "-", given=moved(made, namespace)).returncode == 0
    for account in ("seamline-console", "seamline-watcher", "seamline-task"):
        who = f"--as=system:serviceaccount:{namespace}:{account}"
        asked = [(verb, kind, *_words(verb, kind)) for verb in VERBS for kind in KINDS]
        may = {
            (v, k) for v, k, *words in asked if kubectl("auth", "can-i", *words, "-n", namespace, who).returncode == 0
        }
        assert may == (MAY if account == "seamline-console" else set())


def _words(verb: str, kind: str) -> list[str]:
    """How `kubectl auth can-i` is asked: `pods/log` would be the Pod that is called log."""
    resource, _, part = kind.partition("/")
    return [verb, resource, *([f"--subresource={part}"] if part else [])]

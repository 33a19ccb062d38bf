"""The engine's account and rights as k8s/base ships them, in another namespace, and a kubeconfig that holds its token.

The launcher of the tests has no other rights: without a verb that it needs they fail.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.cluster import Cluster, until

NAME = "seamline-console"
SHIPPED = Path(__file__).parents[2] / "k8s/base/accounts.yaml"
_TOKEN_S = 24 * 3600


def install(cluster: Cluster) -> Path:
    """Makes accounts, Role and RoleBinding in the cluster's namespace; returns the account's kubeconfig."""
    cluster.apply(*_moved(cluster.namespace))
    until(lambda: cluster.kubectl("get", "serviceaccount", NAME, check=False), "the engine's account exists")
    target = cluster.shared / "engine.kubeconfig"
    target.touch(0o600)
    target.write_text(yaml.safe_dump(_with_token(cluster.kubeconfig, _token(cluster))), encoding="utf-8")
    return target


def _moved(namespace: str) -> list[dict[str, Any]]:
    """What is shipped; the binding names the account's namespace, as kustomize would."""
    objects: list[dict[str, Any]] = list(yaml.safe_load_all(SHIPPED.read_text(encoding="utf-8")))
    for subject in [subject for made in objects for subject in made.get("subjects", ())]:
        subject["namespace"] = namespace
    return objects


def _token(cluster: Cluster) -> str:
    """A token as a Pod of the account gets one; `kubectl create token` came with 1.24."""
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [], "expirationSeconds": _TOKEN_S},
    }
    path = f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts/{NAME}/token"
    answer = json.loads(cluster.kubectl("create", "--raw", path, "-f", "-", text=json.dumps(request)))
    return str(answer["status"]["token"])


def _with_token(admin: Path, token: str) -> dict[str, Any]:
    """The same cluster, but as the account."""
    config: dict[str, Any] = yaml.safe_load(admin.read_text(encoding="utf-8"))
    config["users"] = [{"name": NAME, "user": {"token": token}}]
    for named in config["contexts"]:
        named["context"]["user"] = NAME
    return config

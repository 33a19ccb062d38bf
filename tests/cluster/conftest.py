"""A real cluster for tests: one that is built and started here, or the one of a kubeconfig.

    SEAMLINE_CLUSTER=1 pytest tests/cluster -m slow -n 0              builds and starts one; root, Debian 12, minutes
    SEAMLINE_KUBECONFIG=FILE pytest tests/cluster -m slow -n 0        takes one that up.sh has started

Any other cluster will do for what needs no hand on its nodes, if its nodes see the folder SEAMLINE_CLUSTER_SHARED.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import service_account
from tests.cluster.cluster import Cluster, until
from tests.cluster.lab import Lab

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/kubernetes-launcher.md"
PART = re.compile(r"(<!-- generated: faults -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)
NOT_RUN = "not run: no cluster; SEAMLINE_CLUSTER=1 builds one (root, Debian 12), SEAMLINE_KUBECONFIG names one"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    given = os.environ.get("SEAMLINE_KUBECONFIG", "")
    if given:
        home = Path(given).parent
        found = Cluster(Path(given), _shared(tmp_path_factory), home if (home / "pids").exists() else None)
        yield from _with_namespace(found)
        return
    if not os.environ.get("SEAMLINE_CLUSTER"):
        pytest.skip(NOT_RUN)
    home = tmp_path_factory.mktemp("cluster") / "up"
    subprocess.run([HERE / "build.sh"], check=True)
    subprocess.run([HERE / "up.sh", home], check=True)
    try:
        yield from _with_namespace(Cluster(home / "kubeconfig", _shared(tmp_path_factory), home))
    finally:
        subprocess.run([HERE / "down.sh", home], check=False)


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("SEAMLINE_CLUSTER_SHARED")
    return Path(given) if given else tmp_path_factory.mktemp("shared")


def _with_namespace(found: Cluster) -> Iterator[Cluster]:
    """A cluster with a namespace for this session, which is removed again."""
    name = found.namespace
    found.kubectl("create", "namespace", name)
    try:
        _prepare(found, name)
        yield replace(found, engine=service_account.install(found))
    finally:
        found.kubectl("delete", f"namespace/{name}", f"persistentvolume/{name}", "--wait=false")


def _prepare(found: Cluster, name: str) -> None:
    """Makes the state folders' volume, its claim, and two classes of priority."""
    found.shared.chmod(0o777)
    size = {"storage": "1Gi"}
    binding = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeMode": "Filesystem"}
    volume = {"capacity": size, "hostPath": {"path": str(found.shared)}, "persistentVolumeReclaimPolicy": "Retain"}
    claimed = {"claimRef": {"namespace": name, "name": "state"}}
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    found.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": volume | claimed | binding,
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "state"},
            "spec": {"resources": {"requests": size}, "volumeName": name} | binding,
        },
        priority | {"metadata": {"name": "seamline-test-low"}, "value": 10},
        priority | {"metadata": {"name": "seamline-test-high"}, "value": 1000},
    )
    until(lambda: "Bound" in found.kubectl("get", "pvc", "state"), "the claim is bound")
    until(lambda: found.kubectl("get", "serviceaccount", "default", check=False) != "", "the account exists")


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    return until


@pytest.fixture
def shells() -> Any:
    """Pipelines of shell commands; kfp takes seconds to load."""
    import importlib.util

    found = importlib.util.spec_from_file_location("shell_pipelines", HERE / "shell_pipelines.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def lab(cluster: Cluster, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    made = Lab(cluster, cluster.shared / request.node.name.replace("[", "-").replace("]", ""), monkeypatch)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Rows of the table: what is done, how the attempt is named, what becomes of the run."""
    rows: list[str] = []
    yield rows
    if request.config.getoption("--update-golden"):
        text = "\n".join(["| what happens | the attempt | the run |", "|---|---|---|", *rows])
        PAGE.write_text(PART.sub(lambda m: m[1] + text + m[3], PAGE.read_text(encoding="utf-8")), encoding="utf-8")


@pytest.fixture
def row(table: list[str], update_golden: bool) -> Callable[[str, str, str], None]:
    """Takes down a row; the page must have it."""

    def take(what: str, named: str, then: str) -> None:
        named = re.sub(r"[a-z0-9-]+-[0-9a-f]{12}-\d+", "P", named)
        table.append(f"| {what} | {named} | {then} |")
        assert update_golden or table[-1] in PAGE.read_text(encoding="utf-8"), f"{PAGE.name} is behind: {table[-1]}"

    return take

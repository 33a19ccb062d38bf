"""`--launcher kubernetes`: chosen by name, asked of the cluster only when something is to run."""

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pipeline import launchers
from pipeline.engine import kubernetes_api
from pipeline.engine.budget import Budget
from pipeline.engine.cluster_place import ClusterPlace, parse
from pipeline.engine.launch import held_since
from pipeline.errors import PipelineError

ROOT = Path(__file__).parents[2]


def test_the_cluster_schedules_and_nothing_of_this_machine_counts(tmp_path: Path) -> None:
    (tmp_path / "kubernetes.toml").write_text('claim = "c"\nat_once = 7\ngrace_s = 9\n')
    place = launchers.place("kubernetes", tmp_path)
    assert place.budget == Budget.of_cluster(7)
    assert place.pace.grace_s == 9.0


def test_choosing_it_asks_no_cluster_and_loads_no_client(tmp_path: Path) -> None:
    source = (
        "import sys, pathlib; from pipeline import launchers; "
        f"launchers.place('kubernetes', pathlib.Path({str(tmp_path)!r})); print('kubernetes' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout == "False\n"


def test_without_a_cluster_a_task_fails_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launching: Any
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    (tmp_path / "kubernetes.toml").write_text('claim = "c"\n')
    with pytest.raises(PipelineError, match="no Kubernetes cluster: .*; set KUBECONFIG"):
        launchers.place("kubernetes", tmp_path).launcher.start(launching.job())


@pytest.fixture
def two_contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubeconfig with the contexts `here` (current) and `there`, and, around it, the credentials of a Pod."""
    clusters = [{"name": n, "cluster": {"server": f"https://{n}.test"}} for n in ("here", "there")]
    spaces = {"here": {}, "there": {"namespace": "team"}}
    contexts = [{"name": n, "context": {"cluster": n, "user": "u"} | more} for n, more in spaces.items()]
    body = {"clusters": clusters, "contexts": contexts, "users": [{"name": "u", "user": {}}], "current-context": "here"}
    (tmp_path / "kubeconfig").write_text(json.dumps(body))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))

    def of_the_pod(client_configuration: Any) -> None:
        client_configuration.host = "https://around.test"

    monkeypatch.setattr("kubernetes.config.load_incluster_config", of_the_pod)


def connected(**settings: Any) -> tuple[str, str]:
    """Which API server is asked, for which namespace."""
    cluster = kubernetes_api.connect(parse(settings))
    return cluster._core.api_client.configuration.host, cluster._namespace


@pytest.mark.usefixtures("two_contexts")
def test_a_context_that_is_named_beats_the_cluster_around() -> None:
    assert connected(namespace="ours") == ("https://around.test", "ours")
    assert connected(context="there") == ("https://there.test", "team")
    assert connected(context="here") == ("https://here.test", "default")
    assert connected(context="there", namespace="ours") == ("https://there.test", "ours")


@pytest.mark.usefixtures("two_contexts")
def test_a_context_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(PipelineError, match="context 'prod' is not in the kubeconfig, which has here, there; mend"):
        connected(context="prod")


def test_every_setting_is_on_its_page_with_its_default() -> None:
    page = (ROOT / "docs/kubernetes-launcher.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    assert list(rows) == [field.name for field in fields(ClusterPlace)]
    numbers = {one.name: float(one.default) for one in fields(ClusterPlace) if type(one.default) in (int, float)}
    numbers.pop("user")  # 0 stands for the engine's
    assert {name: float(rows[name]) for name in numbers} == numbers
    assert rows["tmp_size"] == f"`{ClusterPlace().tmp_size}`"


def test_the_manifests_settings_are_settings() -> None:
    import tomllib

    assert parse(tomllib.loads((ROOT / "k8s/base/kubernetes.toml").read_text())).claim


@pytest.mark.parametrize(("whose", "since"), [("process", 0.0), ("container", 0.0), ("pod", None)])
def test_only_what_runs_in_a_cluster_may_still_queue(tmp_path: Path, whose: str, since: float | None) -> None:
    handle = json.dumps({whose: "any", "directory": str(tmp_path)})
    assert held_since(launchers.place("kubernetes", tmp_path).launcher, handle) == since


def test_a_handle_says_whose_it_is(launching: Any) -> None:
    handle = launching.begin()
    assert next(iter(json.loads(handle))) == "pod"
    assert launching.launcher.waits(handle) is not None

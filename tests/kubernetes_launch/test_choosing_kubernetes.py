"""`--launcher kubernetes`: chosen by name, asked of the cluster only when something is to run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import launchers
from pipeline.engine.budget import Budget
from pipeline.engine.cluster_place import parse
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


def test_the_manifests_settings_are_settings() -> None:
    import tomllib

    assert parse(tomllib.loads((ROOT / "k8s/base/kubernetes.toml").read_text())).claim


def test_a_handle_says_whose_it_is(launching: Any) -> None:
    handle = launching.begin()
    assert next(iter(json.loads(handle))) == "pod"
    assert launching.launcher.waits(handle) is not None

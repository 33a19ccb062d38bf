"""The same pipeline as processes and as Pods makes the same bytes; GPU tasks, and they alone, run on the GPU node."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components import images
from pipeline import local
from tests.cluster.cluster import missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

DEMO = Path(local.__file__).parent / "recipes" / "demo.toml"
SHORT = ("round1.epochs=2", "round2.epochs=1", "student.epochs=1", "preprocess.size_px=32", "data.images=60")
LEFT_OUT = ("[attributes.sleeve_length_labels]\n", "[attributes.collar_design_labels]\n")
ON_GPUS = ("placement.gpu=true", "placement.gpu_type=nvidia-fake", "placement.shm_gb=1")
GPU_STEPS = ("train", "predict")


def demo(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The demo with one attribute and short trainings; with SEAMLINE_WHOLE_DEMO=1 as it is, which takes a while."""
    text = DEMO.read_text(encoding="utf-8")
    whole = os.environ.get("SEAMLINE_WHOLE_DEMO") == "1"
    for section in () if whole else LEFT_OUT:
        assert section in text
        text = text.replace(section, "")
    (folder / "demo.toml").write_text(text, encoding="utf-8")
    return folder / "demo.toml", () if whole else SHORT


def references(state: Path) -> set[str]:
    """Every reference that was made: its kind and the digest of its bytes."""
    data = state / "data"
    return {str(p.relative_to(data)) for p in data.glob("*/*") if p.is_dir() and len(p.name) == 32}


def run(state: Path, recipe: Path, settings: tuple[str, ...], *more: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "pipeline", "run", recipe, "--state", state, "--json", *more]
    changes = [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(
        [*command, *changes], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Put(NamedTuple):
    """Where a Pod was put, and how many GPUs it asked for."""

    node: str
    gpus: int


@contextmanager
def nodes_of_pods(cluster: Any) -> Iterator[dict[str, Put]]:
    """Writes down while it is open on which node each Pod is put."""
    seen: dict[str, Put] = {}
    done = threading.Event()

    def look() -> None:
        listed = cluster.kubectl("get", "pods", "-l", "app.kubernetes.io/managed-by=seamline", "-o", "json")
        for pod in json.loads(listed)["items"]:
            if node := pod["spec"].get("nodeName"):
                asked = pod["spec"]["containers"][0]["resources"].get("limits", {})
                seen[pod["metadata"]["name"]] = Put(node, int(asked.get("nvidia.com/gpu", 0)))

    def watch() -> None:
        while not done.wait(0.5):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


@pytest.fixture
def steps_images(cluster: Any) -> None:
    """The steps' images, which tests/cluster/load.sh has put on the nodes: 3 GB each, and nothing here may pull."""
    if lacking := missing(cluster, {images.CPU, images.GPU}):
        pytest.skip(f"NOT RUN, no claim about Pods is made: no node has {', '.join(sorted(lacking))}")


@pytest.mark.usefixtures("steps_images")
def test_the_pipeline_as_pods_makes_the_same_bytes_as_by_processes(cluster: Any) -> None:
    folder = cluster.shared / "parity"
    folder.mkdir()
    folder.chmod(0o777)
    recipe, short = demo(folder)
    settings = folder / "kubernetes.toml"
    settings.write_text(
        f'namespace = "{cluster.namespace}"\nclaim = "state"\nmount = "{cluster.shared}"\nuser = 1000\n'
    )
    pods, processes = folder / "pods", folder / "processes"
    for state in (pods, processes):
        (state / "data").mkdir(parents=True)
        (state / "data").chmod(0o777)
    in_cluster = {"KUBECONFIG": str(cluster.engine), "SEAMLINE_KUBERNETES": str(settings)}
    with nodes_of_pods(cluster) as nodes:
        by_pods = run(pods, recipe, (*short, *ON_GPUS), "--launcher", "kubernetes", **in_cluster)
    by_processes = run(processes, recipe, short)

    assert by_pods["executed"] == by_processes["executed"] == len(nodes) > 10
    assert references(pods) == references(processes)
    assert len(references(pods)) > 10
    assert Path(by_pods["submission"]).read_bytes() == Path(by_processes["submission"]).read_bytes()
    for name, put in nodes.items():
        assert put == (("gpu-node", 1) if name.startswith(GPU_STEPS) else ("cpu-node", 0)), name
    assert set(nodes.values()) == {("gpu-node", 1), ("cpu-node", 0)}
    assert not cluster.kubectl("get", "pods", "-l", "app.kubernetes.io/managed-by=seamline", "-o", "name")

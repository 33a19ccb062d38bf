"""The same pipeline as processes and as Pods makes the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components import images

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RECIPE = """
name = "parity"
seed = 1

[data]
dataset = "demo"
seed = 1
images = 60

[attributes.skirt_length_labels]

[models.plain_cnn.train]
backbone = "tiny_cnn"

[preprocess]
size_px = 32
encoding = "raw"

[train]
weights = "none"
frozen_epochs = 0
batch_size = 16
epochs = 1
precision = "off"
threads = 1

[generations]
pseudo = false

[placement]
parallel_attributes = 1
parallel_models = 1

[placement.cpu]
ingest = 1
preprocess = 1
train = 1
predict = 1
ensemble = 1
report = 1
promote = 1

[placement.memory_gb]
ingest = 2
preprocess = 2
train = 2
predict = 2
ensemble = 2
report = 2
promote = 2
"""


def references(state: Path) -> set[str]:
    """Every reference that was made: its kind and the digest of its bytes."""
    data = state / "data"
    return {str(p.relative_to(data)) for p in data.glob("*/*") if p.is_dir() and len(p.name) == 32}


def run(state: Path, recipe: Path, *more: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "pipeline", "run", recipe, "--state", state, "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def steps_image(cluster: Any) -> str:
    """The steps' image, which somebody has loaded on the nodes: 3 GB, and nothing here may pull."""
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    loaded = {name for node in nodes for image in node["status"].get("images", ()) for name in image["names"]}
    if not any(name.endswith(images.CPU) for name in loaded):
        pytest.skip(f"not run: no node has the image {images.CPU}; `seamline images build`, then load it")
    return images.CPU


def test_the_pipeline_as_pods_makes_the_same_bytes_as_by_processes(
    cluster: Any, steps_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cluster.shared / "parity"
    folder.mkdir()
    folder.chmod(0o777)
    recipe = folder / "parity.toml"
    recipe.write_text(RECIPE)
    settings = folder / "kubernetes.toml"
    settings.write_text(
        f'namespace = "{cluster.namespace}"\nclaim = "state"\nmount = "{cluster.shared}"\nuser = 1000\n'
    )
    pods, processes = folder / "pods", folder / "processes"
    for state in (pods, processes):
        (state / "data").mkdir(parents=True)
        (state / "data").chmod(0o777)
    in_cluster = {"KUBECONFIG": str(cluster.kubeconfig), "SEAMLINE_KUBERNETES": str(settings)}
    by_pods = run(pods, recipe, "--launcher", "kubernetes", **in_cluster)
    by_processes = run(processes, recipe)
    assert by_pods["executed"] == by_processes["executed"] > 5
    assert references(pods) == references(processes)
    assert len(references(pods)) > 5
    assert Path(by_pods["submission"]).read_bytes() == Path(by_processes["submission"]).read_bytes()
    assert not cluster.kubectl("get", "pods", "-l", "app.kubernetes.io/managed-by=seamline", "-o", "name")

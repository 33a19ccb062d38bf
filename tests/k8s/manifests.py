"""The manifests as users build them: `kubectl kustomize` over an overlay and options on top of it."""

import functools
import itertools
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.engine import cluster_place

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
OPTIONS = tuple(sorted(folder.name for folder in (K8S / "options").iterdir()))
SUPPORTED = {  # overlay -> the options that may be put on top of it, in any combination
    "kind": ("gpu-pool", "notifications"),
    "gke": ("ingress-iap", "network-policies", "notifications", "spot"),
}
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Combination:
    """An overlay with options."""

    overlay: str
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "+".join([self.overlay, *self.options])


@dataclass(frozen=True)
class Workload:
    """The Pods that an object makes."""

    owner: Manifest
    template: Manifest

    @property
    def pod(self) -> Manifest:
        """Its PodSpec."""
        return self.template["spec"]

    @property
    def containers(self) -> list[Manifest]:
        """All of them, those that run first included."""
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    def __str__(self) -> str:
        return title(self.owner)


def combinations() -> list[Combination]:
    """Everything that is supported."""
    return [
        Combination(overlay, chosen)
        for overlay, options in SUPPORTED.items()
        for count in range(len(options) + 1)
        for chosen in itertools.combinations(options, count)
    ]


def extremes() -> list[Combination]:
    """Each overlay with none and with all of its options."""
    return [Combination(overlay, chosen) for overlay, options in SUPPORTED.items() for chosen in ((), options)]


def parameters() -> list[Any]:
    """All combinations for `pytest.mark.parametrize`; those between the extremes are slow together."""
    return [
        pytest.param(one, id=str(one), marks=[] if one in extremes() else [pytest.mark.slow]) for one in combinations()
    ]


@functools.cache
def build(combination: Combination) -> tuple[Manifest, ...]:
    """The objects of a combination. Cached: change copies only."""
    layers = {
        "resources": [K8S / "overlays" / combination.overlay],
        "components": [K8S / "options" / option for option in combination.options],
    }
    with tempfile.TemporaryDirectory() as folder:
        text = yaml.safe_dump({name: [os.path.relpath(p, folder) for p in paths] for name, paths in layers.items()})
        (Path(folder) / "kustomization.yaml").write_text(text, encoding="utf-8")
        return kustomize(Path(folder))


def kustomize(folder: Path) -> tuple[Manifest, ...]:
    """What `kubectl kustomize` makes of a folder."""
    kubectl = Path(sys.executable).with_name("kubectl")
    made = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
    if made.returncode:
        raise ValueError(made.stderr)
    return tuple(yaml.safe_load_all(made.stdout))


def workloads(objects: Sequence[Manifest]) -> Iterator[Workload]:
    """Everything that makes Pods."""
    for made in objects:
        spec = made.get("spec", {})
        if made["kind"] == "CronJob":
            yield Workload(made, spec["jobTemplate"]["spec"]["template"])
        elif made["kind"] == "Pod":
            yield Workload(made, made)
        elif "template" in spec:
            yield Workload(made, spec["template"])


def launcher_settings(objects: Sequence[Manifest]) -> cluster_place.ClusterPlace:
    """How a build's console makes the Pods of tasks."""
    (text,) = [made["data"][cluster_place.FILE] for made in objects if cluster_place.FILE in made.get("data", {})]
    return cluster_place.parse(tomllib.loads(text))


def title(made: Manifest) -> str:
    """Kind and name."""
    return f"{made['kind']}/{made['metadata']['name']}"


def named(objects: Sequence[Manifest], kind: str, name: str) -> Manifest:
    """The one object of that kind and name."""
    (found,) = [made for made in objects if title(made) == f"{kind}/{name}"]
    return found

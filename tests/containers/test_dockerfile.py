"""What can be said of the images without building them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components import images as names
from pipeline import images

DOCKER = images.ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
PINNED = re.compile(r"^([a-zA-Z0-9._-]+)==(\S+)", re.MULTILINE)


COPIED = re.compile(r"^COPY (.+) \S+$", re.MULTILINE)


def stage(target: str) -> str:
    """The instructions of one target, without those of the target that it begins from."""
    return DOCKERFILE.split(f" AS {target}\n")[1].split("\nFROM ")[0]


def pins(lock: Path) -> dict[str, str]:
    return dict(PINNED.findall(lock.read_text(encoding="utf-8")))


def test_the_linter_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint is a development dependency: make install"
    told = subprocess.run([hadolint, str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-gpu.lock"])
def test_images_hold_the_versions_that_are_tested(lock: str) -> None:
    tested, held = pins(images.ROOT / "requirements.lock"), pins(DOCKER / lock)
    strange = {n: v for n, v in held.items() if tested.get(n, v) != v}
    assert not strange, "make lock"
    beyond = {name for name in held if name not in tested}
    assert beyond <= {name for name in beyond if name.startswith("nvidia-")}, "make lock"
    assert {"tensorflow", "kfp", "docker"} <= held.keys()
    assert not {"pytest", "ruff", "mypy"} & held.keys()


def test_every_package_has_its_hashes() -> None:
    assert DOCKERFILE.count("pip --python") - DOCKERFILE.count("--no-deps") == DOCKERFILE.count("--require-hashes")


def test_every_target_runs_as_somebody_without_rights() -> None:
    for target in images.NAMES:
        assert "USER 1000:1000" in stage(target)


def test_the_base_is_an_argument_and_no_frontend_is_fetched() -> None:
    assert "ARG BASE=python:3.11-slim" in DOCKERFILE and images.BASE == "python:3.11-slim"
    assert "syntax=" not in DOCKERFILE


def test_code_comes_last_so_that_an_edit_rebuilds_no_packages() -> None:
    for target in images.NAMES:
        assert "--require-hashes" not in stage(target).split("COPY components")[1]


@pytest.mark.parametrize("target", sorted(images.NAMES))
def test_the_tag_is_made_of_the_dockerfile_and_everything_that_is_copied(target: str) -> None:
    copied = {part for words in COPIED.findall(stage("packages") + stage(target)) for part in words.split()}
    assert set(images.MADE_OF[target]) == {images.DOCKERFILE, *copied}


def test_the_driver_is_looked_for_where_gke_mounts_it() -> None:
    gpu = stage("steps-gpu")
    assert re.search(r"\bLD_LIBRARY_PATH=/usr/local/nvidia/lib64\b", gpu)
    assert re.search(r"\bPATH=\$\{PATH\}:/usr/local/nvidia/bin\b", gpu)


def test_no_setting_of_one_machine_is_in_the_dockerfile() -> None:
    assert not re.search(r"(?i)cert|proxy|index-url", DOCKERFILE)
    roots = set(re.findall(r"(?<![\w./])/(\w+)", DOCKERFILE))
    assert roots <= {"app", "bin", "opt", "run", "sbin", "tmp", "usr", "var"}


def test_compose_serves_this_version_with_nothing_but_its_volume_to_write() -> None:
    service = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))["services"]["console"]
    assert service["image"] == f"${{SEAMLINE_REGISTRY:-seamline}}/server:${{SEAMLINE_TAG:-{names.TAG}}}"
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])

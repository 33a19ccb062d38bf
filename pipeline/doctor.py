"""`seamline doctor`: what this machine can do, what is missing, and the command that mends it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from pipeline import doctor_cluster, doctor_docker
from pipeline.engine.store import FILE, Store
from pipeline.errors import StateError
from pipeline.finding import Finding

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
FREE_BYTES_WANTED = 5 * 1024**3
DISTRIBUTIONS = ("tensorflow", "kfp", "opencv-python-headless", "pyarrow", "pandas", "google-cloud-storage")
CUDA_DISTRIBUTION = "nvidia-cudnn-cu12"  # one of those that the extra `gpu` brings; without any TensorFlow sees no GPU


def examine(state_dir: Path) -> list[Finding]:
    """Looks at everything a run may need. Changes nothing but a probe file in the state folder."""
    checks: list[Callable[[], Finding]] = [
        python,
        packages,
        processors,
        gpu,
        lambda: disk(state_dir),
        fashion_mnist,
        google_credentials,
    ]
    return [*(check() for check in checks), *doctor_docker.look(), *doctor_cluster.look(state_dir)]


def python() -> Finding:
    """The interpreter: 3.11 or 3.12."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        return Finding("Python", "ok", version)
    return Finding("Python", "missing", f"{version}; 3.11 or 3.12 is needed", "make clean install PYTHON=python3.11")


def packages() -> Finding:
    """The pinned packages, by their metadata: nothing heavy is imported."""
    absent = []
    for name in DISTRIBUTIONS:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            absent.append(name)
    if absent:
        return Finding("packages", "missing", f"not installed: {', '.join(absent)}", "make install")
    return Finding("packages", "ok", ", ".join(f"{name} {metadata.version(name)}" for name in DISTRIBUTIONS[:3]))


def processors() -> Finding:
    """CPU cores and memory, which set how many tasks run at once."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return Finding("machine", "ok", f"{os.cpu_count()} cores, {memory:.0f} GB memory")


def gpu() -> Finding:
    """An NVIDIA GPU, by its own tool, and the libraries that TensorFlow needs to use it."""
    install = "pip install -e '.[gpu]'"
    tool = shutil.which("nvidia-smi")
    if not tool:
        return Finding("GPU", "optional", "none; training runs on the CPU", f"on a GPU machine: {install}")
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return Finding("GPU", "optional", "nvidia-smi does not answer", "nvidia-smi; if it hangs, restart the machine")
    told = listed.stdout.strip() or listed.stderr.strip()
    if listed.returncode:
        return Finding("GPU", "optional", told, "nvidia-smi, until it lists the GPU")
    try:
        metadata.version(CUDA_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return Finding("GPU", "optional", f"{told}; not used: {CUDA_DISTRIBUTION} is not installed", install)
    return Finding("GPU", "ok", told)


def disk(state_dir: Path) -> Finding:
    """Room and permission to write where runs are kept, and a state that this version reads."""
    try:
        if (state_dir / FILE).exists():
            Store.open(state_dir, read_only=True).close()
    except StateError as error:
        return Finding("state folder", "missing", str(error), "seamline ... --state DIR")
    place = next(p for p in [state_dir, *state_dir.resolve().parents] if p.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(
            "state folder", "missing", f"{place} cannot be written: {error.strerror}", "seamline ... --state DIR"
        )
    free = shutil.disk_usage(place).free
    detail = f"{free / 1024**3:.0f} GB free at {place}"
    if free < FREE_BYTES_WANTED:
        return Finding(
            "state folder", "missing", f"{detail}; 5 GB are wanted", "seamline ... --state DIR on a larger disk"
        )
    return Finding("state folder", "ok", detail)


def fashion_mnist() -> Finding:
    """The pictures of recipes/fashion_mnist.toml."""
    if FASHION_MNIST.exists():
        return Finding("Fashion-MNIST", "ok", str(FASHION_MNIST.parent))
    fix = "apt-get install dataset-fashion-mnist"
    return Finding("Fashion-MNIST", "optional", "not installed; only recipes/fashion_mnist.toml needs it", fix)


def google_credentials() -> Finding:
    """Application default credentials, looked for but not used."""
    places = [
        os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", ""),
        "~/.config/gcloud/application_default_credentials.json",
    ]
    found = [place for place in places if place and Path(place).expanduser().exists()]
    if found:
        return Finding("Google Cloud", "ok", "credentials found")
    fix = "gcloud auth application-default login"
    return Finding("Google Cloud", "optional", "no credentials; gs:// addresses cannot be read", fix)

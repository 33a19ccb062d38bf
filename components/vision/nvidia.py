"""NVIDIA's libraries and GPUs that TensorFlow overlooks: it then computes on the processor without a word.

TensorFlow 2.21 from PyPI looks for `libcusolver` where it does not lie. It finds what the process holds already.
"""

import ctypes
import importlib.util
import os
from pathlib import Path

from components import progress
from components.errors import GpuUnused


def load_cusolver() -> list[str]:
    """Loads the library from NVIDIA's package, if installed; to be called before TensorFlow looks at its devices.

    Returns:
        What was loaded.
    """
    package = importlib.util.find_spec("nvidia")
    folders = list(package.submodule_search_locations or []) if package else []
    found = [str(path) for folder in folders for path in sorted(Path(folder).glob("cusolver/lib/libcusolver.so.*"))]
    loaded = []
    for path in found:
        try:
            ctypes.CDLL(path)
        except OSError as error:
            progress.log(f"warning: {error}")
        else:
            loaded.append(path)
    return loaded


def check_used(num_seen: int, root: Path = Path("/")) -> None:
    """Refuses or warns where TensorFlow sees none of the GPUs that this process may use: hours would be lost unnoticed.

    What a container has was given to it, and nobody else can use it meanwhile; a machine may have what it wants.

    Args:
        num_seen: how many GPUs TensorFlow sees.
        root: of the file system.

    Raises:
        GpuUnused: in a container. With CUDA_VISIBLE_DEVICES=-1 nothing is expected of a GPU.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = chosen is not None and chosen.split(",")[0].strip() in ("", "-1")
    present = sorted(path.name for path in (root / "dev").glob("nvidia[0-9]*"))
    if num_seen or hidden or not present:
        return
    if _in_container(root):
        raise GpuUnused(
            f"this container was given a GPU ({', '.join(present)}), but TensorFlow sees none and would compute on the "
            "processor; use the image steps-gpu and a driver for CUDA 12 (525 or newer) whose libcuda.so.1 is on "
            "LD_LIBRARY_PATH (GKE: /usr/local/nvidia/lib64), or say CUDA_VISIBLE_DEVICES=-1 to use the processor"
        )
    progress.log(
        "warning: this machine has a GPU, but TensorFlow sees none and computes on the processor; "
        "install NVIDIA's libraries: pip install -e '.[gpu]'"
    )


def _in_container(root: Path) -> bool:
    """Docker and podman leave a file, and Kubernetes tells every Pod where its API is."""
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(
        (root / name).exists() for name in (".dockerenv", "run/.containerenv")
    )

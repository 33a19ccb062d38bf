"""NVIDIA's libraries and GPUs that TensorFlow overlooks: it then computes on the processor without a word.

TensorFlow 2.21 from PyPI looks for `libcusolver` where it does not lie. It finds what the process holds already.
"""

import ctypes
import importlib.util
import os
from pathlib import Path

from components import progress


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


def say_unused(num_seen: int, devices: Path = Path("/dev")) -> None:
    """Warns where TensorFlow sees none of the GPUs that this process may use: hours would be lost unnoticed."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = chosen is not None and chosen.split(",")[0].strip() in ("", "-1")
    if not (num_seen or hidden) and any(devices.glob("nvidia[0-9]*")):
        progress.log(
            "warning: this machine has a GPU, but TensorFlow sees none and computes on the processor; "
            "install NVIDIA's libraries: pip install -e '.[gpu]'"
        )

"""What `seamline doctor` says of the Docker Engine and of our images in it: never an error, as processes need none."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline import images
from pipeline.engine.docker_launch import connect
from pipeline.errors import PipelineError
from pipeline.finding import OK, OPTIONAL, Finding

TIMEOUT_S = 5.0
FREE_BYTES_WANTED = 20 * 1024**3
"""The two images of steps, their layers while they are built, and what containers write."""
_MOST_SAID = 160
ENGINE, IMAGES = "Docker", "images"


def look(engine_of: Callable[[], Any] = lambda: connect(TIMEOUT_S)) -> list[Finding]:
    """The Docker Engine and, where one answers, our images.

    Args:
        engine_of: connects to it; raises OSError where none answers.
    """
    try:
        engine = engine_of()
        return [_engine(engine.info()), _images(engine)]
    except OSError as error:
        said = " ".join(str(error).split())[:_MOST_SAID]
        fix = "apt-get install docker.io and start it, or name another one by DOCKER_HOST"
        return [Finding(ENGINE, OPTIONAL, f"not needed unless --launcher docker; {said}", fix)]


def _engine(info: Mapping[str, Any]) -> Finding:
    gpus = ", NVIDIA's runtime" if "nvidia" in (info.get("Runtimes") or {}) else ", no GPUs for containers"
    told = f"version {info.get('ServerVersion')}, {info.get('NCPU')} cores{gpus}"
    root = Path(info.get("DockerRootDir") or "")
    if not root.is_absolute() or not root.exists():  # on another machine, or behind rights that we lack
        return Finding(ENGINE, OK, told)
    free = shutil.disk_usage(root).free
    told = f"{told}, {free / 1024**3:.0f} GB free at {root}"
    if free < FREE_BYTES_WANTED:
        return Finding(ENGINE, OPTIONAL, f"{told}; images want {FREE_BYTES_WANTED >> 30} GB", "docker system prune")
    return Finding(ENGINE, OK, told)


def _images(engine: Any) -> Finding:
    fix = "seamline images build"
    try:
        current = {one.target: one for one in images.listed(engine) if one.is_current}
    except PipelineError as error:  # not a checkout, so nobody knows what they would have to be made of
        return Finding(IMAGES, OPTIONAL, str(error), fix)
    built = [f"{target} {current[target].bytes / 1e9:.1f} GB" for target in images.NAMES if target in current]
    absent = [target for target in images.NAMES if target not in current]
    told = "; ".join([", ".join(built)] * bool(built) + [f"not of this code: {', '.join(absent)}"] * bool(absent))
    state = OK if "steps-cpu" in current else OPTIONAL
    return Finding(IMAGES, state, told, fix if absent else "")

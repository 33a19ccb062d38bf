"""The images of this checkout: built, pushed and listed through the Docker Engine, with tags made of their content.

An image has two tags: the version, which moves, and a hash of everything it is made of, which names one content for
ever. A pipeline is pinned to what does not move: the digest that a registry gave, or else the tag of the content.
"""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components import images
from pipeline.errors import PipelineError

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = "docker/Dockerfile"
BASE = "python:3.11-slim"
CONTENT = "seamline.content"
"""Label with the hash of what an image is made of."""
_ALL = (DOCKERFILE, "docker/requirements.lock", "components")
MADE_OF: Mapping[str, tuple[str, ...]] = {
    "steps-cpu": (*_ALL, "docker/entrypoint.sh"),
    "server": (*_ALL, "pipeline", "pyproject.toml", "README.md", "LICENSE"),
    "steps-gpu": (*_ALL, "docker/entrypoint.sh", "docker/requirements-gpu.lock"),
}
NAMES: Mapping[str, str] = {"steps-cpu": images.CPU, "server": images.SERVER, "steps-gpu": images.GPU}
_OPAQUE = ("__pycache__", ".egg-info")
Tell = Callable[[str], object]


class ImageFailed(PipelineError):
    """An image could not be built or pushed."""

    exit_code = 1


@dataclass(frozen=True)
class Image:
    """One image that the Docker Engine has.

    Attributes:
        target: which of `NAMES`.
        tags: its names.
        digest: `repository@sha256:...` if a registry has it.
        bytes: its size.
        created: of the code, ISO 8601.
        is_current: made of what this checkout has now.
    """

    target: str
    tags: tuple[str, ...]
    digest: str
    bytes: int
    created: str
    is_current: bool


def content(target: str, base: str = BASE, root: Path = ROOT) -> str:
    """16 hex digits that change with anything an image is made of.

    Raises:
        PipelineError: this is no checkout with a Dockerfile.
    """
    if not (root / DOCKERFILE).is_file():
        raise PipelineError(f"{root} has no {DOCKERFILE}: images are made from a checkout of the project")
    hasher = hashlib.sha256(base.encode())
    for path in _files(root, MADE_OF[target]):
        hasher.update(f"\0{path.relative_to(root).as_posix()}\0{oct(path.stat().st_mode & 0o111)}\0".encode())
        hasher.update(path.read_bytes())
    return hasher.hexdigest()[:16]


def _files(root: Path, parts: tuple[str, ...]) -> list[Path]:
    found = [
        path for part in parts for path in ([root / part] if (root / part).is_file() else (root / part).rglob("*"))
    ]
    return sorted(p for p in found if p.is_file() and not any(n.endswith(_OPAQUE) for n in p.relative_to(root).parts))


def content_name(target: str, base: str = BASE) -> str:
    """The name of the content that this checkout has now."""
    return f"{_repository(NAMES[target])}:{content(target, base)}"


def build(engine: Any, target: str, base: str = BASE, tell: Tell = print) -> Image:
    """Builds an image unless the Docker Engine has this very content.

    Args:
        engine: docker-py's client.
        target: one of `NAMES`.
        base: image to build on: Debian with Python 3.11 or 3.12 and pip.
        tell: hears of progress, a line at a time.

    Raises:
        ImageFailed: a step of the Dockerfile failed.
    """
    name = content_name(target, base)
    if not _has(engine, name):
        lines = engine.api.build(
            path=str(ROOT),
            dockerfile=DOCKERFILE,
            target=target,
            tag=name,
            buildargs={"BASE": base},
            labels=labels(target, base),
            rm=True,
            forcerm=True,
            decode=True,
        )
        _follow(lines, tell, f"{target} could not be built")
    made = engine.images.get(name)
    made.tag(*NAMES[target].rsplit(":", 1))
    return _image(engine.images.get(name), target, made.labels[CONTENT])


def push(engine: Any, target: str, base: str = BASE, tell: Tell = print) -> Image:
    """Pushes both tags of an image that `build` made; SEAMLINE_REGISTRY says where.

    Raises:
        PipelineError: this content was not built here.
        ImageFailed: the registry refuses.
    """
    name = content_name(target, base)
    if not _has(engine, name):
        raise PipelineError(f"there is no image {name}; make it with `seamline images build {target}`")
    for one in (name, NAMES[target]):
        repository, tag = one.rsplit(":", 1)
        lines = engine.api.push(repository, tag=tag, stream=True, decode=True)
        _follow(lines, tell, f"{one} could not be pushed")
    return _image(engine.images.get(name), target, content(target, base))


def listed(engine: Any) -> list[Image]:
    """Our images that the Docker Engine has, newest code first."""
    found = []
    for target, name in NAMES.items():
        for one in engine.images.list(name=_repository(name)):
            base = one.labels.get("org.opencontainers.image.base.name", BASE)
            found.append(_image(one, target, content(target, base)))
    return sorted(found, key=lambda image: image.created, reverse=True)


def labels(target: str, base: str) -> dict[str, str]:
    """OCI's labels. Revision and date are of the last change to what the image is made of, so a rebuild is the same."""
    prefix = "org.opencontainers.image"
    revision, created = _last_change(MADE_OF[target])
    return {
        f"{prefix}.title": f"seamline {target}",
        f"{prefix}.version": images.TAG,
        f"{prefix}.revision": revision,
        f"{prefix}.created": created,
        f"{prefix}.base.name": base,
        CONTENT: content(target, base),
    }


def _last_change(parts: tuple[str, ...]) -> tuple[str, str]:
    """Commit and time; SOURCE_DATE_EPOCH beats git's time, and without either the epoch is used."""
    told = _git("log", "-1", "--format=%H %ct", "--", *parts).split()
    revision, seconds = told if len(told) == 2 else ("unknown", "0")
    if _git("status", "--porcelain", "--", *parts):
        revision += "-dirty"
    at = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", seconds)), UTC)
    return revision, at.isoformat(timespec="seconds")


def _git(*words: str) -> str:
    """What git says of this checkout; nothing where there is no git."""
    try:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


def _has(engine: Any, name: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        engine.images.get(name)
    except ImageNotFound:
        return False
    return True


def _follow(lines: Iterator[Mapping[str, Any]], tell: Tell, trouble: str) -> None:
    """Passes on what the Docker Engine says: each step of a build, each layer of a push when its state changes."""
    said: dict[str, str] = {}
    for line in lines:
        if "error" in line:
            raise ImageFailed(f"{trouble}: {' '.join(str(line['error']).split())}")
        layer, status = str(line.get("id", "")), str(line.get("status", ""))
        if text := str(line.get("stream", "")).strip():
            tell(text)
        elif status and said.get(layer) != status:
            said[layer] = status
            tell(f"{layer} {status}".strip())


def _image(one: Any, target: str, current: str) -> Image:
    created = one.labels.get("org.opencontainers.image.created", "")
    digest = digest_of(one.attrs, _repository(NAMES[target]))
    is_current = one.labels.get(CONTENT) == current
    return Image(target, tuple(sorted(one.tags)), digest, int(one.attrs["Size"]), created, is_current)


def digest_of(attributes: Mapping[str, Any], repository: str) -> str:
    """`repository@sha256:...` of an image; empty when no registry has told one."""
    found = attributes.get("RepoDigests") or ()
    return next((str(digest) for digest in found if str(digest).startswith(f"{repository}@")), "")


def _repository(name: str) -> str:
    return name.rsplit(":", 1)[0]

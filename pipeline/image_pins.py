"""Images in a compiled pipeline by what does not move, so that a moved tag cannot change what a run is made of."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pipeline import images, registry
from pipeline.engine import docker_refusal, irtext
from pipeline.engine.ir import Container
from pipeline.errors import PipelineError

_IMAGE = re.compile(r"""(^\s*image:\s+['"]?|"image":\s*")([^\s'"]+)""", re.MULTILINE)  # YAML, and JSON


def pinned(text: str, names: Mapping[str, str]) -> str:
    """IR text with other names for its images; what `names` does not hold stays."""

    def renamed(match: re.Match[str]) -> str:
        return match[1] + names.get(match[2], match[2])

    return _IMAGE.sub(renamed, text)


def images_in(text: str) -> tuple[str, ...]:
    """The images that a compiled pipeline names, sorted; not those that only a run's parameters name."""
    executors = irtext.read(text).executors.values()
    named = {one.image for one in executors if isinstance(one, Container) and one.image}
    return tuple(sorted(image for image in named if "{{" not in image))


def for_cluster(text: str, engine: Any) -> str:
    """Every image by its registry's digest.

    Raises:
        PipelineError: an image is not here, is of other code than this checkout, or no registry has it.
    """
    names = {}
    for image in images_in(text):
        if "@sha256:" in image:
            continue
        found = _looked_up(engine, image)
        if _is_of_other_code(image, found):
            raise PipelineError(f"image {image} is of other code than this checkout; {_how(image)}")
        names[image] = images.digest_of(found.attrs, _repository(image))
        if not names[image]:
            raise PipelineError(f"image {image} has no digest, because no registry has it; {_how(image)}")
    return pinned(text, names)


def for_this_machine(text: str, engine: Any) -> tuple[str, tuple[str, ...]]:
    """Every image by its digest or, where no registry gave one, by the tag of its content, or else by its id.

    Returns:
        The text, and the images of ours that are of other code than this checkout.

    Raises:
        PipelineError: an image is not here.
    """
    found = {image: _looked_up(engine, image) for image in images_in(text)}
    strange = tuple(image for image, one in found.items() if _is_of_other_code(image, one))
    return pinned(text, {image: _unmoving(image, one) for image, one in found.items()}), strange


def by_registry(text: str, digest: Callable[[str], str] = registry.digest) -> str:
    """Every image by the digest that its registry tells now, where no Docker Engine is at hand.

    Args:
        text: a compiled pipeline.
        digest: image's name -> `sha256:...`.

    Raises:
        PipelineError: a registry does not answer, or has no such image.
    """
    moving = [image for image in images_in(text) if "@sha256:" not in image]
    return pinned(text, {image: f"{_repository(image)}@{digest(image)}" for image in moving})


def _unmoving(image: str, found: Any) -> str:
    by_content = f"{_repository(image)}:{found.labels.get(images.CONTENT, '')}"
    by_digest = images.digest_of(found.attrs, _repository(image))
    return by_digest or (by_content if by_content in found.tags else str(found.id))


def _repository(image: str) -> str:
    """An image's name without tag and digest."""
    return re.sub(r":[^/:]*$", "", image.partition("@")[0])


def _is_of_other_code(image: str, found: Any) -> bool:
    target = next((target for target, name in images.NAMES.items() if name == image), None)
    if target is None:
        return False
    base = found.labels.get("org.opencontainers.image.base.name", images.BASE)
    return bool(found.labels.get(images.CONTENT) != images.content(target, base))


def _looked_up(engine: Any, image: str) -> Any:
    """What the Docker Engine knows of an image."""
    from docker.errors import NotFound

    try:
        return engine.images.get(image)
    except NotFound:
        raise PipelineError(f"there is no image {image} here; {_how(image)}") from None
    except OSError as error:
        raise PipelineError(f"the Docker Engine cannot tell of {image}: {docker_refusal.words(error)}") from error


def _how(image: str) -> str:
    if image in images.NAMES.values():
        return "make it with `seamline images build`, and for a cluster `seamline images push`"
    return f"get it with `docker pull {image}`"

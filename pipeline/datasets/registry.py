"""Data sets by name, as a recipe's `[data] dataset = "demo"` asks for them; made once, then found again."""

import contextlib
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.datasets import boats, caltech256, cifar10, collars, dataset, demo, fashion_mnist, idx, sources
from pipeline.datasets.dataset import DataSet
from pipeline.errors import Conflict, PipelineError, RecipeError

# Raise a builder's number when its bytes change, or folders made before would be taken for new ones.
_VERSIONS = {"boats": 1, "caltech256": 3, "cifar10": 2, "demo": 2, "fashion_mnist": 1, "idx": 3}
BUILDERS: dict[str, Callable[..., DataSet | Path]] = {
    "boats": boats.draw,
    "caltech256": caltech256.cut,
    "cifar10": cifar10.cut,
    "demo": demo.draw,
    "fashion_mnist": fashion_mnist.cut,
    "idx": idx.cut,
}
NAMES_CLASSES = ("caltech256", "cifar10", "idx")
"""Data sets whose classes a recipe need not know: one recipe learns whichever of them it is given."""
DRAWN = ("contest", "boats", "folders")


def draw(what_and_out: Sequence[str], seed: int, images: int | None) -> str:
    """Draws a data set of DRAWN, by default the first, into a folder; says what lies there.

    Args:
        what_and_out: `[OUT]` or `[one of DRAWN, OUT]`.
        seed: of the drawing.
        images: None for the usual number.
    """
    *what, out = what_and_out or [""]
    if not out or len(what) > 1 or not set(what) <= set(DRAWN):
        given = " ".join(what_and_out) or "nothing"
        raise PipelineError(f"{given!r} was given; expected [{'|'.join(DRAWN)}] OUT, a folder to draw into")
    if what == ["boats"]:
        made = boats.draw(Path(out), seed, boats.IMAGES if images is None else images)
        return f"{made}: {', '.join(sorted(path.name for path in made.iterdir()))}"
    if what == ["folders"]:
        tree = collars.draw(Path(out), seed, collars.IMAGES if images is None else images)
        return f"{tree}: {', '.join(sorted(path.name for path in tree.iterdir()))}"
    drawn = demo.draw(Path(out), seed=seed, images=demo.IMAGES if images is None else images)
    return f"{drawn.folder}: rounds {', '.join(r['name'] for r in drawn.rounds)}, answers {drawn.answers}"


def build(name: str, root: Path, arguments: Mapping[str, Any] | None = None) -> DataSet:
    """Finds or makes a data set of rounds; see `made`."""
    return dataset.load(made(name, root, arguments))


def made(name: str, root: Path, arguments: Mapping[str, Any] | None = None) -> Path:
    """Finds or makes a data set.

    Args:
        name: a key of BUILDERS.
        root: folder that holds one folder for every data set and its arguments.
        arguments: of the builder, for instance `{"seed": 1}`.

    Returns:
        Its folder `<root>/<name>-<digest of the arguments>`; made now if it was not there. Of a local source the bytes
        count, not the path.

    Raises:
        RecipeError: an unknown name or argument.
        PipelineError: what the builder refuses.
    """
    if name not in BUILDERS:
        raise RecipeError(f"data.dataset={name!r} is not a data set; give one of {', '.join(sorted(BUILDERS))}")
    arguments = _checked(name, arguments or {})
    place = json.dumps([name, _VERSIONS[name], _known_by(name, arguments)], sort_keys=True, default=str)
    folder = root / f"{name}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
    # A builder's folder appears when it is whole: one that holds something is finished, or else fails where it is read.
    if not folder.is_dir() or not any(folder.iterdir()):
        with contextlib.suppress(Conflict):  # another process has made the same data set meanwhile
            BUILDERS[name](folder, **arguments)
    return folder


def _checked(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The builder's full arguments, defaults filled in, so that naming a default changes nothing."""
    known = _defaults(name)
    for given in arguments:
        if given not in known:
            raise RecipeError(f"data.{given} is not an argument of data set {name}; give {', '.join(known)}")
    full = known | dict(arguments)
    return {k: Path(v) if isinstance(known[k], Path) else v for k, v in full.items()}


def _known_by(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with what a given source holds instead of where it lies; the default's bytes never change."""
    own = arguments.get("source")
    if own is None or own == _defaults(name)["source"]:
        return dict(arguments)
    return {**arguments, "source": sources.identity(own)}


def _defaults(name: str) -> dict[str, Any]:
    parameters = inspect.signature(BUILDERS[name]).parameters
    return {p: about.default for p, about in parameters.items() if p != "out"}

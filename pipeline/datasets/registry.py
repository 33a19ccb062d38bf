"""Data sets by name, as a recipe's `[data] dataset = "demo"` asks for them; made once, then found again."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.datasets import dataset, demo, fashion_mnist
from pipeline.datasets.dataset import DataSet
from pipeline.errors import Conflict, RecipeError

# Raise a builder's number when its bytes change, or folders made before would be taken for new ones.
_VERSIONS = {"demo": 2, "fashion_mnist": 1}
BUILDERS: dict[str, Callable[..., DataSet]] = {"demo": demo.draw, "fashion_mnist": fashion_mnist.cut}


def build(name: str, root: Path, arguments: Mapping[str, Any] | None = None) -> DataSet:
    """Finds or makes a data set.

    Args:
        name: a key of BUILDERS.
        root: folder that holds one folder for every data set and its arguments.
        arguments: of the builder, for instance `{"seed": 1}`.

    Returns:
        The data set in `<root>/<name>-<digest of the arguments>`; made now if it was not there.

    Raises:
        RecipeError: an unknown name or argument.
        PipelineError: what the builder refuses.
    """
    if name not in BUILDERS:
        raise RecipeError(f"data.dataset={name!r} is not a data set; give one of {', '.join(sorted(BUILDERS))}")
    arguments = _checked(name, arguments or {})
    place = json.dumps([name, _VERSIONS[name], arguments], sort_keys=True, default=str)
    folder = root / f"{name}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
    if not (folder / dataset.ABOUT).exists():
        try:
            return BUILDERS[name](folder, **arguments)
        except Conflict:
            # Another process may have made the same data set meanwhile; any other occupied folder fails in load.
            return dataset.load(folder)
    return dataset.load(folder)


def _checked(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The builder's full arguments, defaults filled in, so that naming a default changes nothing."""
    parameters = inspect.signature(BUILDERS[name]).parameters
    known = {p: about.default for p, about in parameters.items() if p != "out"}
    for given in arguments:
        if given not in known:
            raise RecipeError(f"data.{given} is not an argument of data set {name}; give {', '.join(known)}")
    full = known | dict(arguments)
    return {k: Path(v) if isinstance(known[k], Path) else v for k, v in full.items()}

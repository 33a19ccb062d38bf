"""Which checkpoints of the champions a new training may start from: found when a run is made, offered to the models."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.artifacts import champions, checkpoint, reference, storage
from components.artifacts.champions import Candidate
from components.errors import DataError


def offered(data_root: str, attributes: Sequence[str], models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The models, each with `start`: attribute to the champion's checkpoint of the same model, where there is one.

    Whether it fits (same classes and backbone, no picture known that would judge) is decided by the step train, which
    knows the data; a start that does not fit is left aside and said in the log.
    """
    found = {name: _checkpoints(data_root, name) for name in attributes}
    starts = [{name: made[m["name"]] for name, made in found.items() if m["name"] in made} for m in models]
    return [dict(model) | ({"start": start} if start else {}) for model, start in zip(models, starts, strict=True)]


def _checkpoints(data_root: str, attribute: str) -> dict[str, str]:
    """Model name to digest of the checkpoint that the attribute's champion is made of."""
    current = champions.read(data_root, attribute).current
    if current is None:
        return {}
    try:
        return dict(_members(data_root, current))
    except DataError:  # a champion whose parts were cleared away still stands; nothing can start from it
        return {}


def _members(data_root: str, champion: Candidate) -> list[tuple[str, str]]:
    ensemble = reference.read_index(storage.join(data_root, "ensembles", champion.ensemble), "ensembles")
    told = [
        reference.read_index(storage.join(data_root, "predictions", digest), "predictions")
        for digest in ensemble["members"].values()
    ]
    return [(about["model"], _without_pseudo(data_root, about["checkpoint"])) for about in told]


def _without_pseudo(data_root: str, digest: str) -> str:
    """The checkpoint, or its teacher: a student may have seen pictures that the next round labels and judges by."""
    about = reference.read_index(storage.join(data_root, checkpoint.KIND, digest), checkpoint.KIND)
    if not about["pseudo"]:
        return digest
    if not about["parent"]:
        raise DataError(f"checkpoint {digest} learnt from pseudo-labels and has no teacher")
    return _without_pseudo(data_root, about["parent"])

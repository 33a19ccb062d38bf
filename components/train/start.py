"""Where a training's first weights come from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components import progress
from components.artifacts import checkpoint, reference, shards, storage
from components.errors import DataError
from components.train.settings import Inputs, Settings
from components.vision import tasks, view_index


@dataclass(frozen=True)
class Start:
    """The checkpoint to go on from.

    Attributes:
        reference: of kind checkpoints, or empty: fresh weights.
        arrays: its weights, empty without one.
    """

    reference: str
    arrays: checkpoint.Arrays


def find_start(inputs: Inputs, settings: Settings, index: dict[str, Any], judging: Sequence[str]) -> Start:
    """Reads the start checkpoint: the one given, a student's teacher of the same model, or the champion's, if it fits.

    Args:
        inputs: shards, start, pseudo, model, data_root.
        settings: restart, weights, backbone, fold.
        index: content of the shards' index.
        judging: names of the groups of the shards that will judge.

    Raises:
        DataError: its classes or backbone are others than this training's, or it knows pictures that will judge.
    """
    uri = "" if settings.restart else inputs.start or _teacher(inputs)
    if not uri:
        champion = _champion(inputs, settings, index)
        if champion:
            return Start(champion, checkpoint.read_weights(champion)[0])
        if _is_checkpoint(settings.weights):
            _refuse_knowing(settings.weights, inputs, settings, judging)
        return Start("", {})
    _refuse_other(uri, settings, index)
    _refuse_knowing(uri, inputs, settings, judging)
    return Start(uri, checkpoint.read_weights(uri)[0])


def _refuse_other(uri: str, settings: Settings, index: dict[str, Any]) -> None:
    """Raises DataError where a checkpoint is of another attribute, other classes or another backbone or network."""
    about = reference.read_index(uri, checkpoint.KIND)
    about["network"] = about.get("settings", {}).get("network", {})
    for what, own in (
        ("attribute", index["attribute"]),
        ("classes", index["classes"]),
        ("task", index.get("task", tasks.ONE_OF_K)),
        ("backbone", settings.backbone),
        ("network", settings.network),
    ):
        theirs = about.get(what, tasks.ONE_OF_K)
        if theirs != own:
            raise DataError(
                f"the start {uri!r} has {what} {theirs!r}, this training {own!r}; "
                "start from a checkpoint of the same, or set restart"
            )


def portable_weights(weights: str) -> str:
    """The knob `weights` as it may stand in a reference: a file is named by its content, not by its place."""
    if weights in ("none", "imagenet"):
        return weights
    if _is_checkpoint(weights):
        return f"checkpoint {Path(weights).name}"
    return f"{Path(weights).name} {hashlib.sha256(storage.read_bytes(weights)).hexdigest()}"


def _is_checkpoint(weights: str) -> bool:
    return weights not in ("none", "imagenet") and not weights.endswith((".h5", ".safetensors"))


def _refuse_knowing(uri: str, inputs: Inputs, settings: Settings, judging: Sequence[str]) -> None:
    """Raises DataError where a checkpoint has learnt from pictures that will judge: it would be praised for memory.

    On the same shards the fold says it. Other shards have other folds, so there the names of the pictures are compared.
    """
    about = reference.read_index(uri, checkpoint.KIND)
    if about["shards"] == reference.digest_of(inputs.shards):
        if about["fold"] != settings.fold:
            raise DataError(
                f"the start {uri!r} kept fold {about['fold']} back, this training keeps fold {settings.fold}: its "
                f"weights know the pictures that would judge them; set fold to {about['fold']} or restart"
            )
        return
    former = storage.join(inputs.data_root, shards.KIND, about["shards"])
    if not storage.exists(storage.join(former, reference.INDEX)):
        progress.log(f"the shards behind {uri} are gone: nobody can tell whether it knows pictures that judge here")
        return
    groups = shards.labelled_groups(shards.read_shards_index(former)["groups"])
    learnt = [name for name, (fold, _) in groups.items() if fold != about["fold"]]
    known = np.isin(_names(inputs.shards, judging), _names(former, learnt))
    if known.any():
        raise DataError(
            f"the start {uri!r} may have learnt from {int(known.sum())} of the {len(known)} pictures that would judge "
            "it: its data had other folds; start from a model of these shards, or set restart"
        )


def _names(uri: str, groups: Sequence[str]) -> np.ndarray:
    return np.array(list(view_index.find(uri, groups, []).image_id), str)


def _champion(inputs: Inputs, settings: Settings, index: dict[str, Any]) -> str:
    """The champion's checkpoint that the model carries for this attribute, if it fits; an offer, so nothing is raised.

    All pictures of the fold count as judging, not only those of this phase: later phases start from this one.
    """
    digest = (inputs.model.get("start") or {}).get(index["attribute"], "")
    if not digest or settings.restart or inputs.phase != "round1":
        return ""
    uri = storage.join(inputs.data_root, checkpoint.KIND, digest)
    labelled = shards.labelled_groups(index["groups"])
    held_out = [name for name, (fold, _) in labelled.items() if fold == settings.fold]
    try:
        _refuse_other(uri, settings, index)
        _refuse_knowing(uri, inputs, settings, held_out)
    except DataError as error:
        progress.log(f"not from the champion: {error}")
        return ""
    progress.log(f"from the champion: {uri}")
    return uri


def _teacher(inputs: Inputs) -> str:
    if inputs.phase != "student" or not inputs.pseudo:
        return ""
    teachers = reference.read_index(inputs.pseudo, "pseudo")["teachers"]
    digest = teachers.get(inputs.model["name"])
    if digest is None:
        progress.log(
            f"model {inputs.model['name']} is no teacher of the pseudo set (teachers: "
            f"{', '.join(teachers) or 'none'}): fresh weights"
        )
        return ""
    return storage.join(inputs.data_root, checkpoint.KIND, digest)

"""Where a training's first weights come from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import progress
from components.artifacts import checkpoint, reference, storage
from components.errors import DataError
from components.train.settings import Inputs, Settings


@dataclass(frozen=True)
class Start:
    """The checkpoint to go on from.

    Attributes:
        reference: of kind checkpoints, or empty: fresh weights.
        arrays: its weights, empty without one.
    """

    reference: str
    arrays: checkpoint.Arrays


def find_start(inputs: Inputs, settings: Settings, index: dict[str, Any]) -> Start:
    """Reads the start checkpoint: the one given, or a student's teacher of the same model.

    Args:
        inputs: start, pseudo, model, data_root.
        settings: restart, backbone, fold.
        index: content of the shards' index.

    Raises:
        DataError: its classes, backbone or fold are others than this training's.
    """
    uri = "" if settings.restart else inputs.start or _teacher(inputs)
    if not uri:
        return Start("", {})
    about = reference.read_index(uri, checkpoint.KIND)
    for what, own in (
        ("attribute", index["attribute"]),
        ("classes", index["classes"]),
        ("backbone", settings.backbone),
    ):
        if about[what] != own:
            raise DataError(
                f"the start {uri!r} has {what} {about[what]!r}, this training {own!r}; "
                "start from a checkpoint of the same, or set restart"
            )
    if about["fold"] != settings.fold:
        raise DataError(
            f"the start {uri!r} kept fold {about['fold']} back, this training keeps fold "
            f"{settings.fold}: its weights know the pictures that "
            f"would judge them; set fold to {about['fold']} or restart"
        )
    return Start(uri, checkpoint.read_weights(uri)[0])


def portable_weights(weights: str) -> str:
    """The knob `weights` as it may stand in a reference: a file is named by its content, not by its place."""
    if weights in ("none", "imagenet"):
        return weights
    if not weights.endswith((".h5", ".safetensors")):
        return f"checkpoint {Path(weights).name}"
    return f"{Path(weights).name} {hashlib.sha256(storage.read_bytes(weights)).hexdigest()}"


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

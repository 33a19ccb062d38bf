"""Checkpoints: weights-only files that know what they are, and the state of an unfinished training.

`weights.safetensors` holds the weights under stable names (`backbone/0007/kernel`: part, position, kind) and
one JSON text about them (settings, classes, backbone, size). Equal weights give equal bytes. No pickle anywhere.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from components.artifacts import reference, storage
from components.errors import Conflict, Damaged, Missing

KIND = "checkpoints"
WEIGHTS = "weights.safetensors"
VALIDATION = "validation.parquet"
HISTORY = "history.parquet"
STATE = "training.safetensors"
# safetensors writes its metadata in hash order; under one key there is only one order.
_ABOUT = "seamline"

Arrays = dict[str, np.ndarray[Any, Any]]


def pack(arrays: Mapping[str, np.ndarray[Any, Any]], about: Mapping[str, Any]) -> bytes:
    """Serialises arrays and JSON about them; equal input gives equal bytes."""
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # ascontiguousarray lifts scalars
    text = json.dumps(about, sort_keys=True, ensure_ascii=False, allow_nan=True)
    return safetensors.numpy.save(whole, metadata={_ABOUT: text})


def unpack(data: bytes, name: str) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the JSON of `pack`. Raises Damaged, naming `name`, where it is something else."""
    try:
        arrays = safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise Damaged(
            f"{name} is not a safetensors file ({error}); expected weights written by the train step"
        ) from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    about = header.get("__metadata__", {}).get(_ABOUT)
    if about is None:
        raise Damaged(f"{name} has no {_ABOUT!r} metadata; expected weights written by the train step")
    return arrays, json.loads(about)


def write_weights(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]], about: Mapping[str, Any]) -> None:
    """Writes a weights file; `about` names at least backbone, classes and size_px."""
    path.write_bytes(pack(arrays, about))


def read_weights(uri: str) -> tuple[Arrays, dict[str, Any]]:
    """Weights and what they are, from a checkpoint reference, a local `.safetensors` file or one on `gs://`."""
    if uri.endswith(".safetensors"):
        return unpack(storage.read_bytes(uri), uri)
    reference.read_index(uri, KIND)
    path = reference.open_file(uri, WEIGHTS)
    return unpack(path.read_bytes(), str(path))


@dataclass(frozen=True)
class State:
    """The state of an unfinished training; `version` is what `save_state` is to replace."""

    arrays: Arrays
    about: dict[str, Any]
    version: int


def save_state(
    folder: str, arrays: Mapping[str, np.ndarray[Any, Any]], about: Mapping[str, Any], version: int = 0
) -> int:
    """Replaces the state of an unfinished training and returns its version.

    A reader sees the old one or the new one, never a mixture.

    Args:
        folder: of the training, local or on gs://.
        arrays: by name.
        about: JSON.
        version: of the state that was read or saved last; 0 where there was none.

    Raises:
        Conflict: on gs://, where another attempt at the same training has saved meanwhile. This one must end.
    """
    try:
        return storage.replace(storage.join(folder, STATE), pack(arrays, about), version)
    except Conflict as error:
        raise Conflict(f"another attempt at this training writes {folder}; it goes on, this one ends") from error


def load_state(folder: str) -> State | None:
    """The state of an unfinished training, or None where there is none.

    Raises:
        Damaged: a file that is no state.
    """
    uri = storage.join(folder, STATE)
    try:
        data, version = storage.read_version(uri)
    except Missing:
        return None
    return State(*unpack(data, uri), version)


def discard_state(folder: str) -> None:
    """Removes an unfinished training after its result has been published; what stays is left to `seamline gc`."""
    with contextlib.suppress(OSError):
        storage.remove_folder(folder)

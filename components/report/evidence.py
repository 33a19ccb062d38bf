"""What the report is made from: the ensembles of a run, checked and in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.artifacts import ensembles, reference
from components.errors import DataError


@dataclass(frozen=True)
class Rows:
    """Pictures of one split with the ensemble's answer.

    Attributes:
        image_id: n names.
        label: n strings of y, m, n; "" where unknown.
        group: (n,) int64, number of the duplicate component.
        probability: (n, K) float64.
    """

    image_id: tuple[str, ...]
    label: tuple[str, ...]
    group: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """(n,) class with the largest probability; on a tie the lowest index."""
        return np.asarray(self.probability.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class Attribute:
    """One attribute's ensemble.

    Attributes:
        name: the attribute.
        classes: K class names in label order.
        reference: the ensemble's reference.
        content: the content of its index.
        valid: validation pictures, never trained on.
        test: question pictures.
        stages: the gain table, one row a stage.
    """

    name: str
    classes: tuple[str, ...]
    reference: str
    content: dict[str, Any]
    valid: Rows
    test: Rows
    stages: pd.DataFrame


def read(uris: Sequence[str]) -> list[Attribute]:
    """Reads every ensemble.

    Raises:
        DataError: none given, two of one attribute, or one whose probabilities do not fit its classes.
    """
    if not uris:
        raise DataError("ensembles is empty; give the reference of at least one ensemble")
    attributes = [_read_one(uri) for uri in uris]
    names = [a.name for a in attributes]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"two ensembles answer {name}; give one reference for each attribute")
    return attributes


def _read_one(uri: str) -> Attribute:
    content = reference.read_index(uri, ensembles.KIND)
    frame = ensembles.read(uri)
    classes = tuple(content["classes"])
    return Attribute(
        name=content["attribute"],
        classes=classes,
        reference=uri,
        content=content,
        valid=_rows(frame, "valid", len(classes), uri),
        test=_rows(frame, "test", len(classes), uri),
        stages=ensembles.read_stages(uri),
    )


def _rows(frame: pd.DataFrame, split: str, num_classes: int, uri: str) -> Rows:
    rows = frame[frame["split"] == split]
    if any(len(p) != num_classes for p in rows["probability"]):
        raise DataError(f"{uri}: a {split} row does not hold {num_classes} probabilities; run the step ensemble again")
    probability = np.stack(list(rows["probability"])) if len(rows) else np.empty((0, num_classes))
    return Rows(
        tuple(map(str, rows["image_id"])),
        tuple(map(str, rows["label"])),
        rows["group"].to_numpy(dtype=np.int64),
        probability.astype(np.float64),
    )

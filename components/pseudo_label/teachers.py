"""The teachers' predictions, checked against each other and averaged."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.artifacts import checkpoint, predictions, reference
from components.errors import DataError
from components.vision.metrics import Floats


@dataclass(frozen=True)
class Rows:
    """Pictures with every teacher's answer.

    Attributes:
        image_id: n names.
        split: n times `valid`, `pool` or `test`.
        label: n strings of y, m, n; "" where unknown.
        group: (n,) int64 duplicate components.
        stack: (m, n, K) float64, each teacher's mean over the views.
    """

    image_id: list[str]
    split: list[str]
    label: list[str]
    group: npt.NDArray[np.int64]
    stack: Floats

    def take(self, mask: npt.NDArray[np.bool_]) -> "Rows":
        """The rows where the mask is true."""
        places = np.flatnonzero(mask)
        texts = ([column[i] for i in places] for column in (self.image_id, self.split, self.label))
        return Rows(*texts, self.group[places], self.stack[:, places])


@dataclass(frozen=True)
class Teachers:
    """All teachers of an attribute.

    Attributes:
        names: m model names.
        checkpoints: m digests.
        predictions: m digests.
        attribute: name.
        classes: K names.
        folds: validation folds that the teachers were judged on.
        black: ids of pictures about which nothing can be said.
        rows: validation rows, then candidates.
    """

    names: list[str]
    checkpoints: list[str]
    predictions: list[str]
    attribute: str
    classes: list[str]
    folds: set[int]
    black: set[str]
    rows: Rows


def read(uris: Sequence[str], checkpoints: Sequence[str]) -> Teachers:
    """Reads the teachers' predictions.

    Raises:
        DataError: no teacher, a model twice, predictions of other pictures or classes, or without their checkpoint.
    """
    if not uris:
        raise DataError("predictions is empty; give the predictions of at least one teacher")
    contents = [reference.read_index(uri, "predictions") for uri in uris]
    _check(contents, checkpoints)
    first = contents[0]
    return Teachers(
        names=[c["model"] for c in contents],
        checkpoints=[c["checkpoint"] for c in contents],
        predictions=[Path(uri).name for uri in uris],
        attribute=first["attribute"],
        classes=first["classes"],
        folds={int(c["fold"]) for c in contents},
        black={image_id for c in contents for ids in c.get("black", {}).values() for image_id in ids},
        rows=_rows([_means(uri) for uri in uris], [c["model"] for c in contents]),
    )


def _check(contents: Sequence[dict[str, Any]], checkpoints: Sequence[str]) -> None:
    names = [c["model"] for c in contents]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"model {name} is a teacher twice; give one prediction for each model")
    for c in contents:
        if (c["attribute"], c["classes"]) != (contents[0]["attribute"], contents[0]["classes"]):
            raise DataError(f"teacher {c['model']} has other classes than {names[0]}; give teachers of one attribute")
    known = {Path(uri).name for uri in checkpoints}
    for uri in checkpoints:
        reference.read_index(uri, checkpoint.KIND)
    absent = [c["model"] for c in contents if c["checkpoint"] not in known]
    if absent:
        raise DataError(f"the checkpoint of teacher {absent[0]} is not among the {len(known)} given; give all of them")


def _means(uri: str) -> pd.DataFrame:
    frame = predictions.read(uri)
    return frame[frame["view"] == predictions.MEAN].reset_index(drop=True)


def _rows(frames: Sequence[pd.DataFrame], names: Sequence[str]) -> Rows:
    first = frames[0]
    for frame, name in zip(frames, names, strict=True):
        if not frame[["split", "image_id"]].equals(first[["split", "image_id"]]):
            raise DataError(
                f"teacher {name} predicts other pictures than {names[0]}; predict with the same shards and fold"
            )
    stack = np.stack([predictions.stacked(frame) for frame in frames])
    texts = (list(map(str, first[column])) for column in ("image_id", "split", "label"))
    return Rows(*texts, first["group"].to_numpy(np.int64), stack)

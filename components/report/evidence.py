"""What the report is made from: the ensembles of a run, checked and in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.artifacts import ensembles, reference
from components.errors import DataError
from components.vision import judging, tasks
from components.vision.tasks import Task


@dataclass(frozen=True)
class Rows:
    """Pictures of one split with the ensemble's answer.

    Attributes:
        image_id: n names.
        label: n strings of y, m, n; "" where unknown.
        group: (n,) int64, number of the duplicate component.
        probability: (n, K) float64; the predicted number for a regression.
        task: what was asked.
    """

    image_id: tuple[str, ...]
    label: tuple[str, ...]
    group: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    task: Task = tasks.TASKS[tasks.ONE_OF_K]

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """(n,) class with the largest probability; on a tie the lowest index."""
        return np.asarray(self.probability.argmax(axis=1), dtype=np.int64)

    def predicted_as(self, class_index: int) -> npt.NDArray[np.bool_]:
        """(n,) whether a class is predicted: the most probable one, or from 0.5 on where several may be right."""
        if self.task.is_exclusive:
            return self.predicted == class_index
        return self.probability[:, class_index] >= 0.5

    @cached_property
    def decisions(self) -> "Rows":
        """The rows that the metrics judge, see `judging.decisions`; none for a regression."""
        if self.task.name == tasks.REGRESSION:
            return Rows((), (), self.group[:0], np.empty((0, 1)))
        letters, groups = judging.decided(self.task, self.label, self.group)
        return Rows(self.image_id, tuple(letters), groups, judging.decisions(self.task, self.probability))


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

    @property
    def task(self) -> Task:
        """What was asked of each picture."""
        return self.valid.task


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
    classes, task = tuple(content["classes"]), tasks.of(content)
    return Attribute(
        name=content["attribute"],
        classes=classes,
        reference=uri,
        content=content,
        valid=_rows(frame, "valid", len(classes), task, uri),
        test=_rows(frame, "test", len(classes), task, uri),
        stages=ensembles.read_stages(uri),
    )


def _rows(frame: pd.DataFrame, split: str, num_classes: int, task: Task, uri: str) -> Rows:
    rows = frame[frame["split"] == split]
    if any(len(p) != num_classes for p in rows["probability"]):
        raise DataError(f"{uri}: a {split} row does not hold {num_classes} probabilities; run the step ensemble again")
    probability = np.stack(list(rows["probability"])) if len(rows) else np.empty((0, num_classes))
    return Rows(
        tuple(map(str, rows["image_id"])),
        tuple(map(str, rows["label"])),
        rows["group"].to_numpy(dtype=np.int64),
        probability.astype(np.float64),
        task,
    )

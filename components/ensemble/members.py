"""The models of an attribute: their predictions read, checked against each other and lined up."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.artifacts import checkpoint, predictions, reference
from components.errors import DataError
from components.vision import judging, tasks
from components.vision.metrics import Floats
from components.vision.tasks import Task

PLAIN = "plain"


@dataclass(frozen=True)
class Member:
    """One model in one generation.

    Attributes:
        model: its name.
        phase: `round1`, `round2` or `student`.
        digest: of its predictions, or of its checkpoint where it only takes part in the gain table.
        plain: (n, K) float64, the plain view of the validation rows, one row a decision (see `judging.decisions`).
        mean: (n, K) float64, the mean over its views; the plain view where there is no other.
        test: (t, K) float64, the mean over its views of the questions; no rows for a checkpoint.
    """

    model: str
    phase: str
    digest: str
    plain: Floats
    mean: Floats
    test: Floats

    @property
    def name(self) -> str:
        """Distinct within an ensemble, for instance `small student`."""
        return f"{self.model} {self.phase}"


@dataclass(frozen=True)
class Rows:
    """What is known about the pictures of a split besides predictions: n names, labels, (n,) int64 groups."""

    image_id: list[str]
    label: list[str]
    group: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Members:
    """All models of an attribute; every one speaks about the same rows in the same order.

    Attributes:
        about: what an index says about the task, see `tasks.carried`.
        teachers, students, earlier: their predictions as `judging.decisions` lays them out.
        valid, test: the pictures.
        judged: labels and groups of the rows by which models are judged; none for a regression, which nobody fits.
    """

    attribute: str
    classes: list[str]
    about: dict[str, Any]
    teachers: list[Member]
    students: list[Member]
    earlier: list[Member]
    valid: Rows
    test: Rows
    judged: Rows

    @property
    def task(self) -> Task:
        """Of the attribute."""
        return tasks.of(self.about)


def read(teachers: Sequence[str], students: Sequence[str], earlier: Sequence[str]) -> Members:
    """Reads all members.

    Raises:
        DataError: no teacher, a model twice in a generation, other classes, or other pictures than the first teacher's.
    """
    if not teachers:
        raise DataError("teachers is empty; give the predictions of at least one model")
    contents = [reference.read_index(uri, "predictions") for uri in [*teachers, *students]]
    contents += [reference.read_index(uri, checkpoint.KIND) for uri in earlier]
    _check_classes(contents)
    frames = [predictions.read(uri) for uri in [*teachers, *students]]
    valid, test = _rows(frames[0], "valid"), _rows(frames[0], "test")
    found = [
        _of_predictions(c, Path(uri).name, frame, (valid, test))
        for c, uri, frame in zip(contents, [*teachers, *students], frames, strict=False)
    ]
    before = [_of_checkpoint(c, uri, valid) for c, uri in zip(contents[len(frames) :], earlier, strict=True)]
    members = Members(
        contents[0]["attribute"],
        contents[0]["classes"],
        tasks.carried(contents[0]),
        found[: len(teachers)],
        found[len(teachers) :],
        [member for member in before if member],
        valid,
        test,
        _judged(tasks.of(contents[0]), valid),
    )
    for generation in (members.teachers, members.students, members.earlier):
        _check_distinct([member.model for member in generation])
    return members


def _check_classes(contents: Sequence[dict[str, Any]]) -> None:
    first = contents[0]
    for c in contents:
        if (c["attribute"], c["classes"], tasks.carried(c)) != (
            first["attribute"],
            first["classes"],
            tasks.carried(first),
        ):
            raise DataError(
                f"{c['model']} is of {c['attribute']} with {len(c['classes'])} classes, {first['model']} of "
                f"{first['attribute']} with {len(first['classes'])}; give models of one attribute"
            )


def _check_distinct(models: list[str]) -> None:
    for model in models:
        if models.count(model) > 1:
            raise DataError(f"model {model} is given twice in one generation; give each model once")


def _rows(frame: pd.DataFrame, split: str) -> Rows:
    rows = predictions.select(frame, split)
    return Rows(list(map(str, rows["image_id"])), list(map(str, rows["label"])), rows["group"].to_numpy(np.int64))


def _judged(task: Task, valid: Rows) -> Rows:
    if task.name == tasks.REGRESSION:
        return Rows([], [], valid.group[:0])
    return Rows(valid.image_id, *judging.decided(task, valid.label, valid.group))


def _of_predictions(content: dict[str, Any], digest: str, frame: pd.DataFrame, expected: tuple[Rows, Rows]) -> Member:
    classes = len(content["classes"])
    parts = {}
    for split, rows in zip(("valid", "test"), expected, strict=True):
        ids, parts[split], _ = predictions.matrix(frame, split)
        if ids != rows.image_id:
            raise DataError(
                f"{content['model']} ({content['phase']}) predicts {len(ids)} {split} pictures, not the same "
                f"{len(rows.image_id)} as the first model; predict with the same shards and fold"
            )
    plain = predictions.matrix(frame, "valid", PLAIN)[1]
    task = tasks.of(content)
    plain, mean, test = (
        judging.decisions(task, p.reshape(-1, classes)) for p in (plain, parts["valid"], parts["test"])
    )
    return Member(content["model"], content["phase"], digest, plain, mean, test)


def _of_checkpoint(content: dict[str, Any], uri: str, valid: Rows) -> Member | None:
    """A model of an earlier round as its own validation predictions show it; None where they lack one of the rows."""
    frame = predictions.read_file(reference.open_file(uri, checkpoint.VALIDATION))
    ids, probabilities, _ = predictions.matrix(frame, "valid", PLAIN)
    place = {image_id: row for row, image_id in enumerate(ids)}
    if not valid.image_id or any(image_id not in place for image_id in valid.image_id):
        return None
    in_order = probabilities[[place[image_id] for image_id in valid.image_id]]
    plain = judging.decisions(tasks.of(content), in_order)
    return Member(content["model"], content["phase"], Path(uri).name, plain, plain, plain[:0])

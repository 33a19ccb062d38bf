"""What a study compares: every trained network with its answers, its variant, its seed and the time it took."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.artifacts import checkpoint, predictions, reference, storage, submission
from components.errors import DataError
from components.study.settings import ListedModel, ListedVariant, Settings
from components.vision import judging, tasks
from components.vision.metrics import Floats
from components.vision.tasks import Task

SPLITS = ("valid", "test")


@dataclass(frozen=True)
class Rows:
    """Pictures of one split whose label is known, with the answers of one network, as `judging` lays them out.

    Attributes:
        image_id: the names of p pictures.
        label: n strings of y, m, n: one a picture, or one for each of its classes where they don't exclude each other.
        group: (n,) int64, number of the duplicate component.
        probability: (n, K) float64, the mean over the views.
    """

    image_id: tuple[str, ...]
    label: tuple[str, ...]
    group: npt.NDArray[np.int64]
    probability: Floats


@dataclass(frozen=True)
class Trial:
    """One network for one attribute.

    Attributes:
        attribute: its name.
        model: the name that its training had.
        rows: split to its pictures; a split without known labels is empty.
        checkpoint: reference of the weights.
        minutes: of its training, the rounds together; NaN where that was not written down.
    """

    attribute: str
    model: str
    rows: dict[str, Rows]
    checkpoint: str
    minutes: float


@dataclass(frozen=True)
class Variant:
    """A variant of the study: `trials[seed]` holds one trial for each attribute, in one order for all."""

    name: str
    notes: str
    changes: dict[str, Any]
    trials: dict[int, list[Trial]]


def read(uris: Sequence[str], data_root: str, settings: Settings) -> list[Variant]:
    """Reads all trials and sorts them into the variants, the base first.

    Raises:
        DataError: no predictions, or not all of a listed model, networks judged by different pictures, no such base,
            answers that name none of the pictures.
    """
    if not uris:
        raise DataError("predictions is empty; give those of at least one model")
    answers = _answers(settings.answers)
    found = [_trial(uri, data_root, answers) for uri in uris]
    if answers and not any(trial.rows["test"].label for trial in found):
        raise DataError(f"answers={settings.answers!r} names no test picture of the study; give the answers to its own")
    _same_pictures(found)
    alone = [(ListedVariant(name, []), [ListedModel(name, 0)]) for name in _names(found)]
    variants = [_variant(about, models, found) for about, models in settings.listed() or alone]
    base = settings.base or variants[0].name
    if base not in (variant.name for variant in variants):
        raise DataError(f"base={base!r} is no variant; give one of {', '.join(v.name for v in variants)}")
    return sorted(variants, key=lambda variant: variant.name != base)


def _variant(about: ListedVariant, models: Sequence[ListedModel], found: Sequence[Trial]) -> Variant:
    trials = {model.seed: [trial for trial in found if trial.model == model.name] for model in models}
    attributes = _attributes(found)
    for model in models:
        if [trial.attribute for trial in trials[model.seed]] != attributes:
            raise DataError(f"{model.name} has not predicted each of {', '.join(attributes)} once; run its tasks")
    return Variant(about.name, about.notes, about.changes, trials)


def _trial(uri: str, data_root: str, answers: dict[tuple[str, str], str]) -> Trial:
    content = reference.read_index(uri, "predictions")
    attribute = content["attribute"]
    frame = predictions.read(uri)
    test = predictions.select(frame, "test")
    known = test.assign(label=[answers.get((str(i), attribute), "") for i in test["image_id"]])
    task = _task(content)
    judged = {"valid": predictions.select(frame, "valid"), "test": known[known["label"] != ""]}
    rows = {split: _rows(task, part) for split, part in judged.items()}
    if not rows["valid"].label:
        raise DataError(f"{content['model']} predicted no validation picture of {attribute}; give train.fold a fold")
    where = storage.join(data_root, checkpoint.KIND, content["checkpoint"])
    return Trial(attribute, content["model"], rows, where, sum(_minutes(where, data_root)))


def _task(content: dict[str, Any]) -> Task:
    task = tasks.of(content)
    if task.name == tasks.REGRESSION:
        raise DataError(f"{content['attribute']} is a regression, whose errors a study does not compare; leave it out")
    return task


def _rows(task: Task, frame: pd.DataFrame) -> Rows:
    labels, groups = judging.decided(task, list(map(str, frame["label"])), frame["group"].to_numpy(np.int64))
    probability = judging.decisions(task, predictions.stacked(frame)) if len(frame) else np.empty((0, 0))
    return Rows(tuple(map(str, frame["image_id"])), tuple(labels), groups, probability)


def _minutes(where: str, data_root: str) -> Iterator[float]:
    """Of a training and, where it went on from round 1, of that."""
    yield reference.read_made_by(where).get("seconds", math.nan) / 60
    about = reference.read_index(where, checkpoint.KIND)
    if about["phase"] == "round2" and about["parent"]:
        yield from _minutes(storage.join(data_root, checkpoint.KIND, about["parent"]), data_root)


def _answers(uri: str) -> dict[tuple[str, str], str]:
    """(image id, attribute) to label."""
    return {row.key: row.value for row in submission.read_rows(uri)} if uri else {}


def _same_pictures(found: Sequence[Trial]) -> None:
    """Differences are paired: the networks of an attribute must speak of the same pictures in the same order."""
    first: dict[str, Trial] = {}
    for trial in found:
        other = first.setdefault(trial.attribute, trial)
        for split in SPLITS:
            mine, theirs = trial.rows[split], other.rows[split]
            if (mine.image_id, mine.label) != (theirs.image_id, theirs.label):
                raise DataError(
                    f"{trial.model} and {other.model} are judged by other {split} pictures of {trial.attribute}; "
                    "give all variants the same fold, valid_rounds and splits"
                )


def _names(found: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(trial.model for trial in found))


def _attributes(found: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(trial.attribute for trial in found))

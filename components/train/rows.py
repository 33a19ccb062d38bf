"""Which pictures a training learns from and which judge it, and the proof that the two have nothing in common."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components import progress
from components.artifacts import pseudo as pseudo_rows
from components.artifacts import reference, shards
from components.errors import DataError
from components.train.settings import Settings
from components.vision import targets, view_index
from components.vision.batches import Pictures, TrainingSet
from components.vision.tasks import Task
from components.vision.train_loop import ValidationSet

PLAIN = "plain"
_PHASE_ROUNDS = {"round1": "base", "round2": "newest", "student": "newest"}


@dataclass(frozen=True)
class Groups:
    """Names of shard groups: to learn from, to judge by, and all of the validation fold whatever its round."""

    train: list[str]
    valid: list[str]
    fold: list[str]


def choose_groups(available: Sequence[str], settings: Settings, phase: str) -> Groups:
    """Picks the groups of a phase by the rounds that have labelled pictures.

    Raises:
        DataError: nothing is left to learn from.
    """
    found = shards.labelled_groups(available)
    rounds = sorted({number for _, number in found.values()})
    wanted = _rounds(rounds, _PHASE_ROUNDS[phase] if settings.rounds == "auto" else settings.rounds)
    judging = _rounds(rounds, settings.valid_rounds)
    groups = Groups(
        train=sorted(n for n, (fold, number) in found.items() if fold != settings.fold and number in wanted),
        valid=sorted(n for n, (fold, number) in found.items() if fold == settings.fold and number in judging),
        fold=sorted(n for n, (fold, _) in found.items() if fold == settings.fold),
    )
    if not groups.train:
        raise DataError(
            f"no labelled pictures outside fold {settings.fold} in rounds {wanted}; the shards have "
            f"{', '.join(sorted(available)) or 'nothing'}; "
            "give more labelled pictures, fewer folds, or leave the attribute out"
        )
    return groups


def labelled_pictures(inputs: str, groups: Groups, settings: Settings) -> view_index.Records:
    """The labelled pictures to learn from; those without weight are none."""
    found = view_index.find(inputs, groups.train, settings.views or shards.read_shards_index(inputs)["views"])
    return found.take(found.weight > 0)


def scale_of_numbers(labelled: view_index.Records) -> list[float]:
    """Mean and spread of the numbers that are learnt from: those of the pictures that judge have no part in them."""
    values = targets.numbers([str(label) for label in labelled.label])
    return [float(values.mean()), float(values.std()) or 1.0]


def training_set(
    inputs: str, labelled: view_index.Records, groups: Groups, settings: Settings, pseudo: str, task: Task
) -> TrainingSet:
    """Everything to learn from: labelled rows with their own weight, pseudo rows with at most theirs.

    Args:
        inputs: the shards' reference.
        labelled: as `labelled_pictures` finds them.
        groups: as `choose_groups` gives them.
        settings: views, target policy, smoothing, memory.
        pseudo: reference of kind pseudo, or empty.
        task: of the attribute; encodes the targets.

    Raises:
        DataError: a picture, or a duplicate of one, is in the validation fold too.
    """
    index = shards.read_shards_index(inputs)
    soft = targets.task_targets(
        task.name, list(labelled.label), settings.targets, smoothing=settings.label_smoothing, ordinal=index["ordinal"]
    )
    held_out = view_index.find(inputs, groups.fold, [])
    refuse_leak(labelled, held_out, "labelled")
    weights = labelled.weight
    if pseudo:
        extra, extra_targets, extra_weights = _pseudo_rows(inputs, pseudo, index, labelled.views)
        refuse_leak(extra, held_out, "pseudo")
        progress.log(
            f"{len(extra)} pseudo rows" if len(extra) else "the pseudo set is empty: training on labelled rows only"
        )
        labelled = view_index.joined(labelled, extra)
        soft = np.concatenate([soft, extra_targets])
        weights = np.concatenate([weights, extra_weights * settings.pseudo_weight])
    pictures = Pictures(labelled, settings.cache_mb, settings.threads)
    if not pictures.in_memory and not shards.fits_cache(labelled.files):
        progress.log("the shards are more than the cache holds: pictures come one by one; raise SEAMLINE_CACHE_MB")
    return TrainingSet(pictures, task.encode(soft).astype(np.float32), weights.astype(np.float32))


def validation_set(inputs: str, groups: Groups, settings: Settings, task: Task) -> ValidationSet | None:
    """The plain views of the validation fold in record order, or None where it is empty."""
    index = shards.read_shards_index(inputs)
    found = view_index.find(inputs, groups.valid, [PLAIN])
    if not len(found):
        return None
    labels = [str(label) for label in found.label]
    soft = targets.task_targets(task.name, labels, settings.targets, ordinal=index["ordinal"])
    pictures = Pictures(found, settings.cache_mb, settings.threads)
    return ValidationSet(pictures, task.encode(soft), labels, view=0, task=task)


def refuse_leak(training: view_index.Records, held_out: view_index.Records, kind: str) -> None:
    """Raises DataError where a duplicate group is on both sides: such a validation measures memory, not skill."""
    names = [
        np.array([f"{r}/{name}" for r, name in zip(side.round, side.image_id, strict=True)], str)
        for side in (training, held_out)
    ]
    leaked = np.isin(training.group, held_out.group) | np.isin(*names)
    if leaked.any():
        raise DataError(
            f"leak: {int(leaked.sum())} {kind} training pictures, for instance "
            f"{training.image_id[leaked.argmax()]}, are in the validation fold or duplicates of a picture there; "
            "run ingest again, its folds keep duplicates together"
        )


def _rounds(rounds: list[int], which: str) -> list[int]:
    if which == "all" or len(rounds) < 2:
        return rounds
    return rounds[:-1] if which == "base" else rounds[-1:]


def _pseudo_rows(
    inputs: str, pseudo: str, index: dict, views: Sequence[str]
) -> tuple[view_index.Records, np.ndarray, np.ndarray]:
    about = reference.read_index(pseudo, "pseudo")
    if about["classes"] != index["classes"]:
        raise DataError(
            f"{pseudo!r} has the classes {about['classes']}, the shards {index['classes']}; "
            "make the pseudo set anew from these shards"
        )
    table = pseudo_rows.read(pseudo)
    keys = list(zip(table["split"].to_pylist(), table["image_id"].to_pylist(), strict=True))
    chosen = _of_splits(inputs, index, views, keys)
    place = {key[1]: row for row, key in enumerate(keys)}
    order = np.array([place[name] for name in chosen.image_id], np.int64)
    soft = np.array(table["target"].to_pylist(), np.float64).reshape(len(table), len(index["classes"]))[order]
    return chosen, soft, np.minimum(1, table["weight"].to_numpy().astype(np.float32))[order]


def _of_splits(inputs: str, index: dict, views: Sequence[str], keys: list[tuple[str, str]]) -> view_index.Records:
    """The pictures with these (split, image_id), in record order."""
    chosen = view_index.find(inputs, [], views)
    for split in ("pool", "test"):
        wanted = {name for of, name in keys if of == split}
        groups = sorted(name for name in index["groups"] if name.startswith(f"{split}-")) if wanted else []
        found = view_index.find(inputs, groups, views)
        found = found.take(np.array([name in wanted for name in found.image_id], bool))
        if set(found.image_id) != wanted or len(found) != len(wanted):
            raise DataError(
                f"{len(wanted)} pseudo rows of the {split}, {len(found)} pictures of these names in the shards; "
                "make the pseudo set anew from these shards"
            )
        chosen = view_index.joined(chosen, found)
    return chosen

"""The gate: challenger against champion on validation pictures that neither was trained on. Touches no file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.artifacts.champions import Decision
from components.promote.settings import Settings
from components.vision import bootstrap, judging, tasks
from components.vision.tasks import Task


@dataclass(frozen=True)
class Contender:
    """One side of the comparison.

    Attributes:
        classes: class names in label order.
        valid: its validation rows: image_id, label, group, probability (list of float64).
        manifest: the attribute's rows of the manifest it was trained on: image_id, kind, keep, fold, pixels, group.
        task: what is asked of a picture.
    """

    classes: tuple[str, ...]
    valid: pd.DataFrame
    manifest: pd.DataFrame
    task: Task = tasks.TASKS[tasks.ONE_OF_K]


def decide(champion: Contender | None, challenger: Contender, settings: Settings, seed: int) -> Decision:
    """Decides about one attribute.

    The order matters: what makes a comparison meaningless is refused before anything is compared.
    """
    own = leaked(challenger.manifest, challenger.valid, challenger.manifest, challenger.valid)
    if own:
        return Decision(
            "refused", f"leak: it was trained on {_some(own)}, which its own validation holds or duplicates"
        )
    if champion is None:
        return Decision("promoted", "first champion of this attribute")
    if (champion.classes, champion.task.name) != (challenger.classes, challenger.task.name):
        return Decision("refused", "its classes are not those of the champion; start over with a new attribute name")
    leaks = leaked(champion.manifest, champion.valid, challenger.manifest, challenger.valid)
    if leaks and settings.leak == "refuse":
        return Decision("refused", f"leak: it was trained on {_some(leaks)}, which the champion's validation holds")
    common = in_common(champion, challenger)
    if len(common) < settings.min_overlap:
        many = f"{len(common)} validation pictures in common with the champion"
        return Decision("refused", f"{many}; {settings.min_overlap} are needed (min_overlap)", pictures=len(common))
    return _compared(challenger.task, common, settings, seed)


def leaked(
    frozen_manifest: pd.DataFrame, frozen: pd.DataFrame, manifest: pd.DataFrame, valid: pd.DataFrame
) -> list[str]:
    """Pictures that were trained on although they, or a duplicate of them, belong to a frozen validation set.

    Group numbers change from one manifest to the next, pixels do not: the frozen pictures are found by their pixels,
    their near duplicates by the groups they have in the newer manifest.

    Args:
        frozen_manifest: manifest rows by which the frozen pictures get their pixels.
        frozen: validation rows whose image_id are the frozen set.
        manifest: manifest rows of the training to check.
        valid: validation rows of that training; their folds were not trained on.

    Returns:
        image_id of the offending training rows, in manifest order.
    """
    pixels = set(frozen_manifest.loc[frozen_manifest["image_id"].isin(frozen["image_id"]), "pixels"]) - {""}
    same = manifest["pixels"].isin(pixels)
    near = manifest["group"].isin(manifest.loc[same & (manifest["group"] >= 0), "group"])
    held_out = set(manifest.loc[manifest["image_id"].isin(valid["image_id"]), "fold"])
    trained = (manifest["kind"] == "labelled") & manifest["keep"] & ~manifest["fold"].isin(held_out)
    return list(map(str, manifest.loc[trained & (same | near), "image_id"]))


def in_common(champion: Contender, challenger: Contender) -> pd.DataFrame:
    """Validation pictures of both, in the challenger's order, with the labels and groups of the newer manifest.

    Returns:
        image_id, label, group, probability (challenger), champion (its probability).
    """
    ours, theirs = _with_pixels(challenger), _with_pixels(champion)
    renamed = theirs[["image_id", "pixels", "probability"]].rename(columns={"probability": "champion"})
    joined = ours.merge(renamed, on=["image_id", "pixels"], how="inner")
    return joined[["image_id", "label", "group", "probability", "champion"]]


def _compared(task: Task, common: pd.DataFrame, settings: Settings, seed: int) -> Decision:
    found = judging.compared(
        task,
        (np.stack(list(common["probability"])), np.stack(list(common["champion"]))),
        list(common["label"]),
        common["group"].to_numpy(dtype=np.int64),
        metric=settings.metric,
        resamples=settings.resamples,
        seed=seed,
    )
    if found.verdict == bootstrap.UNKNOWN:
        return Decision("refused", f"{settings.metric} is undefined on the pictures in common", pictures=len(common))
    action, reason = _verdict(found, settings.policy)
    difference, low, high = (round(v, 10) for v in (found.difference, found.low, found.high))
    return Decision(action, reason, difference, low, high, len(common))


def _verdict(found: bootstrap.Interval, policy: str) -> tuple[str, str]:
    if found.verdict == bootstrap.LOSS:
        return "refused", "regression: the interval lies below zero"
    if found.verdict == bootstrap.GAIN:
        return "promoted", "gain: the interval lies above zero"
    same = "the same result: no resample tells the two apart" if found.is_zero else ""
    if policy == "gain":
        return "kept", f"{same or 'noise: the interval spans zero'}, and the policy asks for a gain"
    return "promoted", same or "no loss: the interval spans zero"


def _with_pixels(contender: Contender) -> pd.DataFrame:
    pixels = contender.manifest.drop_duplicates("image_id").set_index("image_id")["pixels"]
    valid = contender.valid.drop_duplicates("image_id")
    return valid.assign(pixels=valid["image_id"].map(pixels).fillna(""))


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} pictures, the first {names[0]}"

"""Validation rows of two runs joined picture by picture. References are immutable, so what was read once is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.artifacts import ensembles, manifest, reference
from components.vision import tasks
from components.vision.tasks import Task

KEPT = 64


@dataclass(frozen=True)
class Side:
    """One run's answers for one attribute.

    Attributes:
        attribute: whose.
        classes: names in label order.
        valid: image_id, label, group, probability of its validation pictures.
        manifest: the attribute's rows of the manifest that it was trained on.
        task: what it asks of a picture.
    """

    attribute: str
    classes: tuple[str, ...]
    valid: pd.DataFrame
    manifest: pd.DataFrame
    task: Task = tasks.TASKS[tasks.ONE_OF_K]


@dataclass(frozen=True, eq=False)
class Joined:
    """The pictures that both sides were judged on, in the second's order, with equal pixels and labels.

    Attributes:
        attribute: whose.
        classes: names in label order.
        task: what it asks of a picture.
        image_id: n names.
        label: n strings of y, m, n; numbers where the task is regression.
        group: (n,) int64, numbers of the second side's duplicate groups.
        first, second: (n, K) float64 probabilities; values where the task is regression.
        counts: of validation pictures: first, second, relabelled, trained_on.
    """

    attribute: str
    classes: tuple[str, ...]
    task: Task
    image_id: tuple[str, ...]
    label: tuple[str, ...]
    group: npt.NDArray[np.int64]
    first: npt.NDArray[np.float64]
    second: npt.NDArray[np.float64]
    counts: Mapping[str, int]


@lru_cache(maxsize=KEPT)
def side(ensemble: str, manifest_reference: str) -> Side:
    """One run's answers. Raises DataError where the reference is gone."""
    content = reference.read_index(ensemble, ensembles.KIND)
    frame = ensembles.read(ensemble)
    name = str(content["attribute"])
    rows = manifest_rows(manifest_reference)
    return Side(
        name,
        tuple(map(str, content["classes"])),
        frame[frame["split"] == "valid"].drop_duplicates("image_id"),
        rows[rows["attribute"] == name],
        tasks.of(content),
    )


@lru_cache(maxsize=4)
def manifest_rows(manifest_reference: str) -> pd.DataFrame:
    """All rows of a manifest. Raises DataError where it is gone."""
    return manifest.read(manifest_reference)


def joined(first: Side, second: Side) -> Joined:
    """What can be compared: pictures of both validation sets that are the same picture with the same label."""
    columns = ["image_id", "label", "group", "probability", "pixels"]
    both = _with_pixels(first)[columns].merge(
        _with_pixels(second)[columns], on="image_id", how="inner", suffixes=("_first", "_second")
    )
    same = (both["label_first"] == both["label_second"]) & (both["pixels_first"] == both["pixels_second"])
    common = both[same]
    size = len(second.classes)
    counts = {
        "first": len(first.valid),
        "second": len(second.valid),
        "relabelled": len(both) - len(common),
        "trained_on": len(learnt_from(first, common) | learnt_from(second, common)),
    }
    return Joined(
        second.attribute,
        second.classes,
        second.task,
        tuple(map(str, common["image_id"])),
        tuple(map(str, common["label_second"])),
        common["group_second"].to_numpy(dtype=np.int64),
        _stacked(common["probability_first"], size),
        _stacked(common["probability_second"], size),
        counts,
    )


def learnt_from(of: Side, frozen: pd.DataFrame) -> set[str]:
    """Those of the frozen pictures that a side learnt from, itself or a duplicate of it.

    Its own folds of validation were not learnt from. A duplicate has the same pixels, or the same group in the side's
    manifest.
    """
    rows = of.manifest
    held_out = set(rows.loc[rows["image_id"].isin(of.valid["image_id"]), "fold"])
    learnt = rows[(rows["kind"] == "labelled") & rows["keep"] & ~rows["fold"].isin(held_out)]
    judged = rows[rows["image_id"].isin(frozen["image_id"])]
    same = judged["pixels"].isin(set(learnt["pixels"]) - {""})
    near = judged["group"].isin(set(learnt.loc[learnt["group"] >= 0, "group"]))
    return set(map(str, judged.loc[same | near, "image_id"]))


def _with_pixels(of: Side) -> pd.DataFrame:
    pixels = of.manifest.drop_duplicates("image_id").set_index("image_id")["pixels"]
    return of.valid.assign(pixels=of.valid["image_id"].map(pixels).fillna(""))


def _stacked(rows: pd.Series, size: int) -> npt.NDArray[np.float64]:
    return np.stack(list(rows)).astype(np.float64) if len(rows) else np.empty((0, size))

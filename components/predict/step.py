"""The work of predict: logits of all views, their mean, one predictions reference."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components import entry, knobs, progress
from components.artifacts import checkpoint, predictions, reference, shards
from components.errors import DataError, SettingsError
from components.predict import pictures, views
from components.predict.settings import Inputs, Settings
from components.vision import inference, judging, learner, tasks, view_index
from components.vision.metrics import Floats
from components.vision.tasks import Task

# Changes how fast pictures are decoded, not what comes out.
_SPEED = ("threads",)


@dataclass(frozen=True)
class Split:
    """Pictures of one split with (v, n, K) float64 class logits; `black` are the ids of pictures without any light."""

    name: str
    source: view_index.Records
    logits: Floats
    black: list[str]

    @property
    def labels(self) -> list[str]:
        """n strings of y, m, n; "" where unknown."""
        return [str(label) for label in self.source.label]


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Predicts with one checkpoint.

    Raises:
        SettingsError: views that the shards lack.
        DataError: a checkpoint that was trained for other shards.
    """
    about = reference.read_index(inputs.checkpoint, checkpoint.KIND)
    index = shards.read_shards_index(inputs.shards)
    _check(about, index)
    names = _views(settings, index["views"])
    learner.prepare_tensorflow(inputs.seed)
    splits = _predicted(settings, inputs, about, index, names)
    task = tasks.of(index)
    weighting = _weighting(task, splits, settings, inputs.seed)
    progress.log(f"views {', '.join(names)}: {weighting.kind} weights ({weighting.why})")
    metrics = _metrics(task, splits, weighting, names, settings)
    content = _content(about, inputs, settings, names, weighting, metrics, splits)
    with reference.draft(inputs.data_root, "predictions") as draft:
        frames = [_frame(task, split, weighting, names, settings.mean) for split in splits]
        filled = [frame for frame in frames if len(frame)] or frames[:1]
        predictions.write(pd.concat(filled, ignore_index=True), draft.folder / predictions.FILE)
        effective = {name: value for name, value in knobs.as_mapping(settings).items() if name not in _SPEED}
        parents = [Path(inputs.shards).name, Path(inputs.checkpoint).name]
        made_by = {"step": "predict", "settings": effective | {"seed": inputs.seed}, "parents": parents}
        published = draft.commit(content, made_by)
    return entry.Summary({"predictions": published}, {"metrics": metrics | {"predictions": published}})


def _check(about: dict[str, Any], index: dict[str, Any]) -> None:
    for key in ("attribute", "classes", "size_px", *tasks.CARRIED):
        if about.get(key) != index.get(key):
            raise DataError(
                f"the checkpoint has {key} {about.get(key)!r}, the shards {index.get(key)!r}; "
                "give the shards that it was trained on, or train again"
            )


def _views(settings: Settings, available: list[str]) -> list[str]:
    unknown = [view for view in settings.views if view not in available]
    if unknown:
        raise SettingsError(f"predict.views has {unknown[0]!r}; the shards have {', '.join(available)}")
    return pictures.order_of_views(settings.views, available)


def _predicted(
    settings: Settings, inputs: Inputs, about: dict[str, Any], index: dict[str, Any], names: list[str]
) -> list[Split]:
    loaded = inference.load(inputs.checkpoint)
    splits = []
    for split in predictions.SPLITS:
        groups = pictures.groups_of(split, index["groups"], about["fold"], settings.valid_rounds)
        source = view_index.find(inputs.shards, groups if split in settings.splits else [], names)
        outputs, black = pictures.all_views(
            loaded, source, batch_size=settings.batch_size, threads=settings.threads, what=split
        )
        splits.append(Split(split, source, tasks.of(about).class_logits(outputs), black))
        progress.log(f"{split}: {len(source):,} pictures" + (f", {len(black):,} of them black" if black else ""))
    return splits


def _weighting(task: Task, splits: list[Split], settings: Settings, seed: int) -> views.Weighting:
    valid = splits[0]
    stack = task.probabilities(valid.logits)
    if task.name == tasks.REGRESSION:
        return views.evenly(stack, "numbers are averaged evenly")
    labels, groups = judging.decided(task, valid.labels, valid.source.group)
    found = views.choose(judging.decisions(task, stack), labels, groups, settings, seed)
    return replace(found, valid=judging.in_classes(task, found.valid, stack.shape[-1]))


def _frame(task: Task, split: Split, weighting: views.Weighting, names: list[str], mean: str) -> pd.DataFrame:
    """The rows of a split: every view, then the mean."""
    probabilities = task.probabilities(split.logits)
    is_valid = split.name == "valid"
    fused = weighting.valid if is_valid else judging.fused(task, probabilities, weighting.weights, mean)
    source = split.source
    known = predictions.Pictures(
        [str(i) for i in source.image_id], split.labels, source.group, source.fold, source.round
    )
    return predictions.frame_of(
        split.name,
        known,
        [*names, predictions.MEAN],
        np.concatenate([probabilities, fused[None]]),
        np.concatenate([split.logits, tasks.logits_of(task, fused)[None]]),
    )


def _metrics(
    task: Task, splits: list[Split], weighting: views.Weighting, names: list[str], settings: Settings
) -> dict[str, float]:
    """Finite numbers only: plain view, mean of the views, calibration, rows."""
    valid = splits[0]
    found: dict[str, float] = {f"{split.name}_pictures": len(split.source) for split in splits}
    if valid.labels:
        plain = task.probabilities(valid.logits[names.index("plain")])
        found |= {f"plain_{n}": value for n, value in judging.measures(task, plain, valid.labels).items()}
        found |= judging.measures(task, weighting.valid, valid.labels)
    if weighting.against_equal:
        against = weighting.against_equal
        found |= {"fitted_gain": against.difference, "fitted_gain_low": against.low, "fitted_gain_high": against.high}
    if settings.temperature and task.name != tasks.REGRESSION:
        labels, _ = judging.decided(task, valid.labels, valid.source.group)
        found |= views.calibrated(judging.decisions(task, weighting.valid), labels)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _content(
    about: dict[str, Any],
    inputs: Inputs,
    settings: Settings,
    names: list[str],
    weighting: views.Weighting,
    metrics: dict[str, float],
    splits: list[Split],
) -> dict[str, Any]:
    return {
        "attribute": about["attribute"],
        "classes": about["classes"],
        "ordinal": about["ordinal"],
        **tasks.carried(about),
        "model": about["model"],
        "phase": about["phase"],
        "fold": about["fold"],
        "checkpoint": Path(inputs.checkpoint).name,
        "shards": Path(inputs.shards).name,
        "views": names,
        "view_weights": dict(zip(names, map(float, weighting.weights), strict=True)),
        "weighting": {"kind": weighting.kind, "why": weighting.why, "mean": settings.mean},
        "black": {split.name: split.black for split in splits if split.black},
        "metrics": metrics,
    }

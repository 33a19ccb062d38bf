"""The work of the step `train`: rows, model, loop, checkpoint."""

import math
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from components import entry, knobs, progress
from components.artifacts import checkpoint, predictions, reference, shards
from components.errors import SettingsError
from components.train import curves, rows
from components.train.settings import Inputs, Settings
from components.train.start import Start, find_start, portable_weights
from components.vision import gradient_check, inference, learner, memory, tasks, train_loop, view_index
from components.vision import model as models
from components.vision.batches import Order, TrainingSet, in_order

# These change how a training runs, not what comes out: they stay out of the result.
_SPEED = ("cache_mb", "threads", "gradient_check")
# Younger than the format: unsaid where they ask for nothing, so that checkpoints of before keep their digests.
_UNSAID = (("network", {}), ("loss", "task"))


@dataclass(frozen=True)
class Task:
    """One training: what was asked, the content of the shards' index, and where its weights come from.

    Attributes:
        scale: `{"scale": [mean, spread]}` by which a regression learns its numbers; empty for other tasks.
    """

    inputs: Inputs
    settings: Settings
    index: dict[str, Any]
    start: Start
    scale: dict[str, Any]

    @cached_property
    def kind(self) -> tasks.Task:
        """What the attribute asks: one class of several, a number, ..."""
        return tasks.of(self.index | self.scale)

    @cached_property
    def num_outputs(self) -> int:
        """Of the network, for a picture."""
        return self.kind.num_outputs(len(self.index["classes"]))

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the weights file says about itself."""
        effective = knobs.as_mapping(self.settings) | {"weights": portable_weights(self.settings.weights)}
        return {
            "attribute": self.index["attribute"],
            "classes": self.index["classes"],
            "ordinal": self.index["ordinal"],
            **tasks.carried(self.index),
            **self.scale,
            "size_px": self.index["size_px"],
            "model": self.inputs.model["name"],
            "phase": self.inputs.phase,
            "backbone": self.settings.backbone,
            "settings": {n: v for n, v in effective.items() if n not in _SPEED and (n, v) not in _UNSAID},
            "seed": self.inputs.seed,
            "views": self.settings.views or self.index["views"],
            "fold": self.settings.fold,
            "shards": Path(self.inputs.shards).name,
            "pseudo": Path(self.inputs.pseudo).name,
            "parent": Path(self.start.reference).name,
        }


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Trains one model and publishes its checkpoint."""
    index = shards.read_shards_index(inputs.shards)
    groups = rows.choose_groups(list(index["groups"]), settings, inputs.phase)
    start = find_start(inputs, settings, index, groups.valid)
    labelled = rows.labelled_pictures(inputs.shards, groups, settings)
    task = Task(inputs, settings, index, start, _scale(index, start, labelled))
    learner.prepare_tensorflow(inputs.seed)
    training = rows.training_set(inputs.shards, labelled, groups, settings, inputs.pseudo, task.kind)
    validation = rows.validation_set(inputs.shards, groups, settings, task.kind)
    trained = _train(task, training, validation, outputs.unfinished)
    published, metrics = _publish(task, trained, validation)
    title = f"{task.about['attribute']}: {task.about['model']}, {inputs.phase}"
    outputs.write_text("curves", curves.page(title, trained.history, trained.best_epoch))
    # Last: whoever is killed before this line goes on from the last epoch and only publishes.
    checkpoint.discard_state(outputs.unfinished)
    shown = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return entry.Summary({"checkpoint": published}, {"metrics": shown, "curves": {"checkpoint": published}})


def _scale(index: dict[str, Any], start: Start, labelled: view_index.Records) -> dict[str, Any]:
    """By what is learnt from, or as the start has it: its head speaks in that, and it knew no picture that judges."""
    if tasks.of(index).name != tasks.REGRESSION:
        return {}
    if start.reference:
        return {"scale": reference.read_index(start.reference, checkpoint.KIND)["scale"]}
    return {"scale": rows.scale_of_numbers(labelled)}


def _train(
    task: Task, training: TrainingSet, validation: train_loop.ValidationSet | None, folder: str
) -> train_loop.Trained:
    settings = task.settings
    order = Order(task.inputs.seed, settings.batch_size, settings.view_sampling, settings.augment, settings.mixup)
    plan = plan_of(settings, is_random=not task.start.reference and settings.weights == "none")
    if settings.gradient_check:
        _check_gradients(task, training)
    pupil = _learner(task)
    replicas = pupil.strategy.num_replicas_in_sync
    refuse_small_batches(training, order, replicas)
    kept = training.pictures.kept_bytes + (validation.pictures.kept_bytes if validation else 0)
    memory.check_batch(pupil, order.batch_size, replicas, kept_bytes=kept)
    _say_size(pupil.model, training, validation, order)
    unfinished = train_loop.Unfinished(
        folder, {"about": task.about, "tensorflow": tf.__version__, "keras": keras.__version__}
    )
    return train_loop.train(pupil, training, validation, order, plan, unfinished)


def _check_gradients(task: Task, training: TrainingSet) -> None:
    settings, few = task.settings, np.arange(min(8, len(training.targets)))
    pictures = training.pictures.get(few, np.zeros_like(few))
    found = gradient_check.network_errors(
        settings.backbone, task.index["size_px"], settings.network, pictures, task.inputs.seed
    )
    progress.log(gradient_check.refuse_wrong(found))


def refuse_small_batches(training: TrainingSet, order: Order, replicas: int) -> None:
    """Raises SettingsError where a GPU would get no row of a batch: normalising nothing makes its statistics NaN."""
    smallest = training.num_rows(order) // training.num_steps(order)
    if smallest < replicas:
        raise SettingsError(
            f"batch_size={order.batch_size} gives batches of {smallest} rows to {replicas} GPUs; "
            f"raise it to {replicas} or more, or use fewer GPUs"
        )


def plan_of(settings: Settings, *, is_random: bool) -> train_loop.Plan:
    """The part of the settings that the loop follows.

    Args:
        settings: of the step.
        is_random: whether the backbone starts with random weights; frozen they would be of no use, so they never are.
    """
    values = {f.name: getattr(settings, f.name) for f in fields(train_loop.Plan)}
    if is_random and settings.frozen_epochs:
        progress.log(f"frozen_epochs={settings.frozen_epochs} is ignored: the backbone's weights are random")
        values["frozen_epochs"] = 0
    return train_loop.Plan(**values | {"decay_at": tuple(settings.decay_at)})


def _learner(task: Task) -> learner.Learner:
    settings, strategy = task.settings, learner.strategy_of()
    policy = learner.policy_of(settings.precision)
    weights = "none" if task.start.reference else settings.weights
    with strategy.scope(), models.precision_policy(policy):
        model = models.build(
            settings.backbone,
            task.index["size_px"],
            task.num_outputs,
            weights=weights,
            network=settings.network,
            dropout=settings.dropout,
            seed=task.inputs.seed,
        )
        if task.start.reference:
            models.import_weights(model, task.start.arrays, task.start.reference)
        optimiser = learner.make_optimiser(
            model,
            settings.optimiser,
            settings.backbone_share,
            policy,
            weight_decay=settings.weight_decay,
            clip_norm=settings.clip_norm,
        )
    return learner.Learner(model, optimiser, strategy, l2=settings.l2, ema=settings.ema, loss=_loss_of(task))


def _loss_of(task: Task) -> str:
    asked = task.settings.loss
    if asked == "task":
        return task.kind.loss
    if task.kind.name != tasks.ONE_OF_K:
        raise SettingsError(f"train.loss={asked!r} is for one right class of several, the task is {task.kind.name}")
    return asked


def _say_size(
    model: keras.Model, training: TrainingSet, validation: train_loop.ValidationSet | None, order: Order
) -> None:
    size, cached = models.describe(model), "in memory" if training.pictures.in_memory else "decoded as they are needed"
    judged = (
        f"{len(validation.labels)} pictures judge"
        if validation
        else "no picture judges: the last epoch is kept, no metric is reported"
    )
    progress.log(
        f"{size['parameters']:,} parameters ({size['bytes'] / 1e6:.1f} MB); {len(training.targets):,} pictures, "
        f"{training.num_rows(order):,} rows an epoch in {training.num_steps(order):,} steps, {cached}; {judged}"
    )


def _publish(
    task: Task, trained: train_loop.Trained, validation: train_loop.ValidationSet | None
) -> tuple[str, dict[str, float]]:
    """Writes the checkpoint. Its validation predictions are made in float32, as the step predict will make them."""
    settings, size_px = task.settings, task.index["size_px"]
    model = models.build(settings.backbone, size_px, task.num_outputs, network=settings.network)
    models.import_weights(model, trained.weights, "the best weights")
    with reference.draft(task.inputs.data_root, checkpoint.KIND) as draft:
        checkpoint.write_weights(draft.folder / checkpoint.WEIGHTS, trained.weights, task.about)
        metrics = _validate(task, model, validation, draft.folder / checkpoint.VALIDATION)
        pq.write_table(pa.Table.from_pylist(trained.history), draft.folder / checkpoint.HISTORY, compression="zstd")
        kept = {name: value for name, value in metrics.items() if math.isfinite(value)}
        content = task.about | {"metrics": kept, "best_epoch": trained.best_epoch, "epochs": len(trained.history)}
        settings = knobs.as_mapping(task.settings)
        made_by = {
            "step": "train",
            "settings": settings,
            "parents": _parents(task),
            "seconds": round(trained.seconds, 1),
        }
        return draft.commit(content, made_by), metrics


def _validate(
    task: Task, model: keras.Model, validation: train_loop.ValidationSet | None, path: Path
) -> dict[str, float]:
    if validation is None:
        predictions.write(_frame(task, None, np.zeros((0, task.num_outputs))), path)
        return {}
    outputs = inference.logits(model, in_order(validation.pictures, validation.view, inference.BATCH))
    predictions.write(_frame(task, validation, outputs), path)
    return validation.judge(outputs)


def _frame(task: Task, validation: train_loop.ValidationSet | None, outputs: np.ndarray) -> Any:
    found = validation.pictures.source if validation else None
    empty = np.zeros(0, np.int64)
    columns = [list(getattr(found, name)) if found else [] for name in ("image_id", "label")]
    numbers = [getattr(found, name) if found else empty for name in ("group", "fold", "round")]
    pictures = predictions.Pictures(*columns, *numbers)
    logits = task.kind.class_logits(outputs)
    probabilities = task.kind.probabilities(logits)
    return predictions.frame_of("valid", pictures, [rows.PLAIN], probabilities[None], logits[None])


def _parents(task: Task) -> list[str]:
    return [Path(uri).name for uri in (task.inputs.shards, task.inputs.pseudo, task.start.reference) if uri]

"""The one training loop, for every round: stages, rates, validation, the best weights, and going on after a kill."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from components import progress
from components.errors import StepError
from components.vision import judging, optimisers, tasks
from components.vision.batches import Order, Pictures, TrainingSet, in_order
from components.vision.learner import Learner
from components.vision.losses import LOSSES
from components.vision.schedules import Schedule
from components.vision.tasks import Task
from components.vision.unfinished import Asked, Epoch, History, Progress, Unfinished

MONITORS = {
    "map": "valid_map",
    "accuracy": "valid_accuracy",
    "basic_precision": "valid_basic_precision",
    "loss": "valid_loss",
}
COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    *MONITORS.values(),
    # What only one of the other tasks is measured by, see `judging`.
    "valid_class_map",
    "valid_exact_match",
    "valid_rank_error",
    "valid_mae",
    "valid_rmse",
    "learning_rate",
)
_CHECK_EVERY = 20


@dataclass(frozen=True)
class Plan:
    """What training does, in numbers.

    Attributes:
        epochs: in all.
        frozen_epochs: of them with a frozen backbone, at head_learning_rate.
        learning_rate: highest rate once the backbone learns.
        head_learning_rate: constant rate of the first stage.
        schedule: one of schedules.KINDS, over the epochs after the first stage.
        warmup_epochs: of linear rise, may be a fraction.
        final_share, decay_at, decay_factor: see schedules.Schedule.
        monitor: a key of MONITORS: which weights are the best.
        patience: epochs without a better one before training stops; 0 is never.
    """

    epochs: int
    frozen_epochs: int
    learning_rate: float
    head_learning_rate: float
    schedule: str
    warmup_epochs: float
    final_share: float
    decay_at: tuple[float, ...]
    decay_factor: float
    monitor: str
    patience: int

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step, counted from 0 over the whole training."""
        before = self.frozen_epochs * steps_per_epoch
        if step < before:
            return self.head_learning_rate
        total = (self.epochs - self.frozen_epochs) * steps_per_epoch
        warmup = min(total, round(self.warmup_epochs * steps_per_epoch))
        shape = Schedule(
            self.schedule, self.learning_rate, total, warmup, self.final_share, self.decay_at, self.decay_factor
        )
        return shape.rate(step - before)


@dataclass(frozen=True)
class ValidationSet:
    """Pictures to judge by, in record order.

    Attributes:
        targets: (n, outputs), encoded by the task.
        labels: n label strings.
        view: number of the plain view.
        task: of the attribute.
    """

    pictures: Pictures
    targets: np.ndarray
    labels: list[str]
    view: int
    task: Task = tasks.TASKS[tasks.ONE_OF_K]

    def judge(self, outputs: np.ndarray) -> dict[str, float]:
        """Metrics of the network's outputs (n, outputs) float64."""
        probabilities = self.task.probabilities(self.task.class_logits(outputs))
        found = judging.measures(self.task, probabilities, self.labels)
        loss = LOSSES[self.task.loss].mean(outputs, self.targets)
        named = {"map" if name == "ap" else name: value for name, value in found.items()}
        return {"valid_loss": loss} | {f"valid_{name}": value for name, value in named.items()}


@dataclass(frozen=True)
class Trained:
    """The result.

    Attributes:
        weights: the best ones, by name.
        best_epoch: the number of their epoch, from 1.
        history: one row of numbers for every epoch.
        seconds: what it took, all attempts together; no part of any result.
    """

    weights: dict[str, np.ndarray]
    best_epoch: int
    history: History
    seconds: float


def train(
    learner: Learner,
    training: TrainingSet,
    validation: ValidationSet | None,
    order: Order,
    plan: Plan,
    unfinished: Unfinished,
) -> Trained:
    """Trains until the plan is done or nothing has got better for `patience` epochs.

    Without a validation set nothing is judged: no early stop, and the last epoch counts as the best.

    Raises:
        StepError: the loss is no longer a finite number.
    """
    with unfinished.leaving_cleanly():
        done, best = unfinished.load(learner)
        stage = None

        def heed(part: Epoch) -> None:
            unfinished.heed(learner, replace(done, part=part), best)

        while done.epoch < plan.epochs and not (plan.patience and done.waited >= plan.patience):
            stage = _enter_stage(learner, plan, done, stage)
            row, part, speed = _epoch(learner, training, order, plan, done, heed)
            if validation:
                batches = in_order(validation.pictures, validation.view, 2 * order.batch_size)
                try:
                    row |= validation.judge(learner.evaluate(unfinished.until_asked(batches)))
                except Asked:
                    heed(part)
            done, is_best = _judged(replace(done, part=Epoch()), row, plan, judged=validation is not None)
            best = learner.weights() if is_best else best
            unfinished.save(learner, done, best)
            finite = {name: value for name, value in row.items() if math.isfinite(value)}
            progress.metric(done.epoch, **finite, images_per_second=round(speed, 1))
    total = plan.epochs * training.num_rows(order)
    progress.progress(total, total, "pictures")
    # A state file sorts its keys: the order of the columns must not tell who was interrupted.
    history = [{name: row[name] for name in COLUMNS if name in row} for row in done.history]
    return Trained(best, done.best_epoch, history, unfinished.seconds)


def _enter_stage(learner: Learner, plan: Plan, done: Progress, current: bool | None) -> bool:
    """Makes the backbone frozen or free for this epoch; the moments restart exactly where it is freed."""
    frozen = done.epoch < plan.frozen_epochs
    if frozen != current:
        learner.begin_stage(frozen=frozen)
        if done.epoch == plan.frozen_epochs and done.epoch and not done.part.steps:
            optimisers.restart(learner.optimiser)
    return frozen


def _epoch(
    learner: Learner,
    training: TrainingSet,
    order: Order,
    plan: Plan,
    done: Progress,
    heed: Callable[[Epoch], None],
) -> tuple[dict[str, float], Epoch, float]:
    """One epoch, or what is left of it: its numbers, the epoch as a part, and pictures per second.

    The speed must not get into any result. `heed` is told after every step how far the epoch is.
    """
    steps, rows, epoch = training.num_steps(order), training.num_rows(order), done.epoch
    first, begun, seen = epoch * steps, time.monotonic(), 0
    losses: list[Any] = list(done.part.losses)
    right: list[Any] = list(done.part.right)
    for number, batch in enumerate(training.epoch(order, epoch, len(losses)), start=len(losses)):
        loss, correct = learner.step(batch, plan.rate(first + number, steps), first + number)
        losses.append(loss)
        right.append(correct)
        seen += len(batch.targets)
        progress.progress(epoch * rows + round(rows * (number + 1) / steps), plan.epochs * rows, "pictures")
        # Looking at a loss waits for the GPU, so not at every step.
        if (number + 1) % _CHECK_EVERY == 0 or number + 1 == steps:
            _refuse_nan(learner, losses, first + number + 1, epoch)
        heed(Epoch(losses, right))
    row = {
        "loss": math.fsum(float(loss) for loss in losses) / steps,
        "learning_rate": plan.rate(first + steps - 1, steps),
    }
    if learner.loss.has_right:
        row["accuracy"] = math.fsum(float(count) for count in right) / rows
    return row, Epoch(losses, right), seen / (time.monotonic() - begun)


def _refuse_nan(learner: Learner, losses: list[Any], steps: int, epoch: int) -> None:
    recent = np.array([float(loss) for loss in losses[-_CHECK_EVERY:]])
    if np.isfinite(recent).all():
        return
    step = steps - len(recent) + int(np.flatnonzero(~np.isfinite(recent))[0])
    weight = learner.first_bad_weight()
    raise StepError(
        f"the loss is {recent[step - steps + len(recent)]} at step {step} (epoch {epoch + 1})"
        f"{f', so is weight {weight}' if weight else ''}; "
        "lower learning_rate or set clip_norm"
    )


def _judged(done: Progress, row: dict[str, float], plan: Plan, *, judged: bool) -> tuple[Progress, bool]:
    """Adds an epoch and says whether its weights are the best so far; the first epoch always is."""
    epoch = done.epoch + 1
    rank = _rank(row, plan.monitor) if judged else (float(epoch), 0.0)
    is_best = rank > done.best_rank or not done.best_epoch
    waited = 0 if is_best or epoch <= plan.frozen_epochs else done.waited + 1
    done = replace(done, epoch=epoch, waited=waited, history=[*done.history, {"epoch": float(epoch)} | row])
    return (replace(done, best_epoch=epoch, best_rank=rank), True) if is_best else (done, False)


def _rank(row: dict[str, float], monitor: str) -> tuple[float, float]:
    """More is better; equal metrics, common on few pictures, are told apart by the loss; undefined is last.

    A regression has no precision: whatever is monitored, its loss decides.
    """
    by_loss = -row["valid_loss"]
    values = (by_loss if monitor == "loss" else row.get(MONITORS[monitor], by_loss), by_loss)
    return tuple(value if math.isfinite(value) else -math.inf for value in values)  # type: ignore[return-value]

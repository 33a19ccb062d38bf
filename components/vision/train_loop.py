"""The one training loop, for every round: stages, rates, validation, the best weights, and going on after a kill."""

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from components import progress
from components.artifacts import checkpoint
from components.errors import DataError, StepError
from components.vision import metrics, optimisers
from components.vision.batches import Order, Pictures, TrainingSet, in_order
from components.vision.calibration import softmax
from components.vision.learner import Learner
from components.vision.losses import mean_cross_entropy
from components.vision.schedules import Schedule

MONITORS = {
    "map": "valid_map",
    "accuracy": "valid_accuracy",
    "basic_precision": "valid_basic_precision",
    "loss": "valid_loss",
}
COLUMNS = ("epoch", "loss", "accuracy", *MONITORS.values(), "learning_rate")
_CHECK_EVERY = 20
History = list[dict[str, float]]


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
    """Pictures to judge by, in record order: targets (n, K), labels n strings, view the number of the plain view."""

    pictures: Pictures
    targets: np.ndarray
    labels: list[str]
    view: int

    def judge(self, logits: np.ndarray) -> dict[str, float]:
        """Metrics of logits (n, K) float64."""
        score = metrics.average_precision(softmax(logits), self.labels)
        return {
            "valid_loss": mean_cross_entropy(logits, self.targets),
            "valid_map": score.ap,
            "valid_basic_precision": score.basic_precision,
            "valid_accuracy": score.accuracy,
        }


@dataclass(frozen=True)
class Trained:
    """The result: best weights by name, the number of their epoch (from 1), one row of numbers for every epoch."""

    weights: dict[str, np.ndarray]
    best_epoch: int
    history: History


@dataclass(frozen=True)
class _Progress:
    """How far the training is. Goes into the state file."""

    epoch: int = 0
    best_epoch: int = 0
    best_rank: tuple[float, float] = (-math.inf, -math.inf)
    waited: int = 0
    history: History = field(default_factory=list)


class Unfinished:
    """The state of this training in `folder`; `identity` says whose it is, so that no other goes on with it."""

    def __init__(self, folder: str, identity: dict[str, Any]) -> None:
        self.folder, self.identity = folder, identity
        self._writing, self._asked = False, False

    def load(self, learner: Learner) -> tuple[_Progress, dict[str, np.ndarray]]:
        """Where the last attempt stopped and its best weights; a fresh start where there is nothing to go on with."""
        try:
            found = checkpoint.load_state(self.folder)
        except DataError as error:
            progress.log(f"starting afresh: {error}")
            found = None
        if found is None:
            return _Progress(), {}
        arrays, about = found
        state = {name.removeprefix("state/"): a for name, a in arrays.items() if name.startswith("state/")}
        if about["identity"] != self.identity or not learner.fits(state):
            progress.log("starting afresh: the unfinished training found was made by other settings, data or software")
            return _Progress(), {}
        learner.restore(state)
        done = _Progress(**about["progress"] | {"best_rank": tuple(about["progress"]["best_rank"])})
        progress.log(f"going on after epoch {done.epoch}")
        return done, {name.removeprefix("best/"): a for name, a in arrays.items() if name.startswith("best/")}

    def save(self, learner: Learner, done: _Progress, best: dict[str, np.ndarray]) -> None:
        """Replaces the state file. A termination signal meanwhile takes effect afterwards."""
        arrays = {f"state/{n}": a for n, a in learner.state().items()} | {f"best/{n}": a for n, a in best.items()}
        about = {"identity": self.identity, "progress": done.__dict__}
        self._writing = True
        checkpoint.save_state(self.folder, arrays, about)
        self._writing = False
        if self._asked:
            _leave()

    @contextmanager
    def leaving_cleanly(self) -> Iterator[None]:
        """SIGTERM (a preempted node) ends the process at once, or, while the state is being written, right after."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._terminate)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _terminate(self, *_: Any) -> None:
        self._asked = True
        if not self._writing:
            _leave()


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
        while done.epoch < plan.epochs and not (plan.patience and done.waited >= plan.patience):
            stage = _enter_stage(learner, plan, done.epoch, stage)
            row, speed = _epoch(learner, training, order, plan, done.epoch)
            if validation:
                row |= validation.judge(
                    learner.evaluate(in_order(validation.pictures, validation.view, 2 * order.batch_size))
                )
            done, is_best = _judged(done, row, plan, judged=validation is not None)
            best = learner.weights() if is_best else best
            unfinished.save(learner, done, best)
            finite = {name: value for name, value in row.items() if math.isfinite(value)}
            progress.metric(done.epoch, **finite, images_per_second=round(speed, 1))
    total = plan.epochs * training.num_rows(order)
    progress.progress(total, total, "pictures")
    # A state file sorts its keys: the order of the columns must not tell who was interrupted.
    history = [{name: row[name] for name in COLUMNS if name in row} for row in done.history]
    return Trained(best, done.best_epoch, history)


def _enter_stage(learner: Learner, plan: Plan, epoch: int, current: bool | None) -> bool:
    """Makes the backbone frozen or free for this epoch; the moments restart exactly where it is freed."""
    frozen = epoch < plan.frozen_epochs
    if frozen != current:
        learner.begin_stage(frozen=frozen)
        if epoch == plan.frozen_epochs and epoch:
            optimisers.restart(learner.optimiser)
    return frozen


def _epoch(
    learner: Learner, training: TrainingSet, order: Order, plan: Plan, epoch: int
) -> tuple[dict[str, float], float]:
    """One epoch: its numbers, and pictures per second, which must not get into any result."""
    steps, rows = training.num_steps(order), training.num_rows(order)
    first, begun, seen = epoch * steps, time.monotonic(), 0
    losses: list[Any] = []
    right: list[Any] = []
    for number, batch in enumerate(training.epoch(order, epoch)):
        loss, correct = learner.step(batch, plan.rate(first + number, steps), first + number)
        losses.append(loss)
        right.append(correct)
        seen += len(batch.targets)
        progress.progress(epoch * rows + seen, plan.epochs * rows, "pictures")
        # Looking at a loss waits for the GPU, so not at every step.
        if (number + 1) % _CHECK_EVERY == 0 or number + 1 == steps:
            _refuse_nan(learner, losses, first + number + 1, epoch)
    row = {
        "loss": math.fsum(float(loss) for loss in losses) / steps,
        "accuracy": math.fsum(float(count) for count in right) / rows,
        "learning_rate": plan.rate(first + steps - 1, steps),
    }
    return row, rows / (time.monotonic() - begun)


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


def _judged(done: _Progress, row: dict[str, float], plan: Plan, *, judged: bool) -> tuple[_Progress, bool]:
    """Adds an epoch and says whether its weights are the best so far; the first epoch always is."""
    epoch = done.epoch + 1
    rank = _rank(row, plan.monitor) if judged else (float(epoch), 0.0)
    is_best = rank > done.best_rank or not done.best_epoch
    waited = 0 if is_best or epoch <= plan.frozen_epochs else done.waited + 1
    done = replace(done, epoch=epoch, waited=waited, history=[*done.history, {"epoch": float(epoch)} | row])
    return (replace(done, best_epoch=epoch, best_rank=rank), True) if is_best else (done, False)


def _rank(row: dict[str, float], monitor: str) -> tuple[float, float]:
    """More is better; equal metrics, common on few pictures, are told apart by the loss; undefined is last."""
    sign = -1 if monitor == "loss" else 1
    values = (sign * row[MONITORS[monitor]], -row["valid_loss"])
    return tuple(value if math.isfinite(value) else -math.inf for value in values)  # type: ignore[return-value]


def _leave() -> None:
    progress.log("terminated; the last finished epoch is kept, another attempt goes on from there")
    sys.exit(128 + signal.SIGTERM)

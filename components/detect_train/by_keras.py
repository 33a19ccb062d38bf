"""The trainer of our own: iterations, the saved state, the log, and the weights that were best on the way."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components import knobs, progress
from components.detect_train.configuration import burn_in
from components.detect_train.outcome import Task, Trained
from components.detect_train.settings import Settings
from components.errors import SettingsError, StepError
from components.vision import learner as learners
from components.vision import model as models
from components.vision.detection import cfg, judging, log, network, weights
from components.vision.detection.augment import Variation
from components.vision.detection.batches import Order, batches
from components.vision.detection.detections import Choice
from components.vision.detection.learner import DetectionLearner, make_optimiser
from components.vision.detection.loss import STATISTICS, YoloLoss
from components.vision.schedules import Schedule
from components.vision.unfinished import Asked, Unfinished

_SPEED = ("cache_mb", "threads", "darknet", "darknet_arguments")  # they change nothing of what comes out
_LOG_EVERY = 20  # iterations between lines of the task's own log; the file has all


def train(task: Task) -> Trained:
    """Trains from the last saved state, or from the start.

    Raises:
        StepError: the loss is no longer a finite number.
    """
    pupil = _learner(task)
    unfinished = Unfinished(task.unfinished, _identity(task), unit="iteration")
    with unfinished.leaving_cleanly():
        training = _Training(task, pupil, unfinished)
        while training.done.epoch < task.iterations or not training.is_judged():
            if not training.is_judged():
                training.judge()
            else:
                training.learn()
    done, kept = training.done, training.kept
    return Trained(kept["weights"].tobytes(), done.best_epoch, training.log_text(), done.history)


def rates(settings: Settings, total: int) -> Callable[[int], float]:
    """The learning rate of an iteration, counted from 0; it rises with the fourth power, as darknet's."""
    rise = burn_in(settings, total)
    shape = Schedule(
        settings.schedule,
        settings.learning_rate,
        total,
        decay_at=tuple(settings.decay_at),
        decay_factor=settings.decay_factor,
    )
    return lambda number: settings.learning_rate * ((number + 1) / rise) ** 4 if number < rise else shape.rate(number)


@dataclass
class _Training:
    """A training on its way; `done.epoch` counts iterations, `kept` is the log so far and the best weights."""

    task: Task
    pupil: DetectionLearner
    unfinished: Unfinished

    def __post_init__(self) -> None:
        self.done, self.kept = self.unfinished.load(self.pupil)
        scales = len(self.pupil.network.grid.scales)
        width = 2 + scales * len(STATISTICS)
        if "log" not in self.kept:
            self.kept = {"log": np.zeros((self.task.iterations, width), np.float32), "weights": np.zeros(0, np.uint8)}
        self.rate = rates(self.task.settings, self.task.iterations)

    def is_judged(self) -> bool:
        """Whether the weights of now are judged, or need not be."""
        done = self.done
        due = done.epoch % self.task.settings.checkpoint_every == 0 or done.epoch == self.task.iterations
        return not (due and done.epoch) or bool(done.history and done.history[-1]["iteration"] == done.epoch)

    def learn(self) -> None:
        """Up to the next checkpoint."""
        settings, first = self.task.settings, self.done.epoch
        last = min((first // settings.checkpoint_every + 1) * settings.checkpoint_every, self.task.iterations)
        order = Order(self.task.inputs.seed, settings.batch, _variation(settings))
        for number, batch in enumerate(batches(self.task.training, order, first, last), start=first):
            begun = time.monotonic()
            cost, statistics = self.pupil.step(batch, self.rate(number), number)
            self._write_down(number, float(cost), statistics.numpy(), time.monotonic() - begun)
            self.done = replace(self.done, epoch=number + 1)
            self.unfinished.heed(self.pupil, self.done, self.kept)

    def judge(self) -> None:
        """Judges by the validation split, keeps the weights if they are the best so far, and saves the state."""
        try:
            found = self.pupil.judged(self._judgement)
        except Asked:
            self.unfinished.heed(self.pupil, self.done, self.kept)
            raise
        row = {"iteration": float(self.done.epoch), "ap50": found.ap50, "ap": found.ap}
        done = replace(self.done, history=[*self.done.history, row])
        # Where nothing is to be found, nothing judges: the last weights count as the best.
        rank = (found.ap50, found.ap) if math.isfinite(found.ap50) else (float(done.epoch), 0.0)
        if rank > done.best_rank or not done.best_epoch:
            done = replace(done, best_epoch=done.epoch, best_rank=rank)
            self.kept = self.kept | {"weights": np.frombuffer(self._weights(), np.uint8)}
        self.done = done
        self.unfinished.save(self.pupil, self.done, self.kept)
        shown = {name: value for name, value in row.items() if name != "iteration" and math.isfinite(value)}
        progress.metric(done.epoch, **shown)

    def log_text(self) -> str:
        """Darknet's log of all iterations. Its seconds are 0: a time would make two equal trainings unequal."""
        rows = self.kept["log"].astype(np.float64)
        averages = log.running_average(rows[:, 0].tolist())
        return log.text(line for i in range(len(rows)) for line in self._lines(i, rows[i], averages[i], 0.0))

    def _judgement(self) -> judging.Judgement:
        size = max(1, self.task.settings.batch // self.task.settings.subdivisions)
        return judging.judge(self.pupil.network, self.task.validation, Choice(), size, self.unfinished.until_asked)

    def _write_down(self, number: int, cost: float, statistics: np.ndarray, seconds: float) -> None:
        if not math.isfinite(cost):
            bad = self.pupil.first_bad_weight()
            raise StepError(
                f"the loss is {cost} at iteration {number + 1}{f', so is weight {bad}' if bad else ''}; "
                "lower learning_rate or set clip_norm"
            )
        self.kept["log"][number] = [cost, self.rate(number), *statistics.ravel()]
        progress.progress(number + 1, self.task.iterations, "iterations")
        if (number + 1) % _LOG_EVERY == 0 or number + 1 == self.task.iterations:
            average = log.running_average(self.kept["log"][: number + 1, 0].astype(np.float64).tolist())[-1]
            for line in self._lines(number, self.kept["log"][number], average, seconds):
                progress.log(line)

    def _lines(self, number: int, row: np.ndarray, average: float, seconds: float) -> Iterator[str]:
        batch, scales = self.task.settings.batch, self.pupil.network.grid.scales
        for scale, sums in zip(scales, row[2:].reshape(len(scales), -1), strict=True):
            yield log.region_line(scale.layer, sums, scale.num_predictions * batch)
        yield log.iteration_line(number + 1, float(row[0]), average, float(row[1]), seconds, (number + 1) * batch)

    def _weights(self) -> bytes:
        header = weights.Header(seen=self.done.epoch * self.task.settings.batch)
        return weights.write(header, self.pupil.convolutions())


def _learner(task: Task) -> DetectionLearner:
    settings, strategy = task.settings, learners.strategy_of()
    if settings.batch // settings.subdivisions < strategy.num_replicas_in_sync:
        raise SettingsError(
            f"batch={settings.batch} in {settings.subdivisions} parts gives {strategy.num_replicas_in_sync} GPUs less "
            "than one picture each; raise batch or lower subdivisions"
        )
    policy = learners.policy_of(settings.precision)
    with strategy.scope(), models.precision_policy(policy):
        made = network.build(task.sections, task.inputs.seed)
        found = task.start_weights(made.shapes)
        made.load(found)
        optimiser = make_optimiser(
            made.model, settings.optimiser, policy, weight_decay=settings.weight_decay, clip_norm=settings.clip_norm
        )
    size = models.describe(made.model)
    progress.log(
        f"{size['parameters']:,} parameters, {len(found)} of {len(made.shapes)} convolutions from a file; "
        f"{len(task.training):,} pictures to learn from, {len(task.validation):,} judge, {task.iterations:,} iterations"
    )
    loss = YoloLoss(made.grid, settings.ignore_iou)
    return DetectionLearner(made, loss, optimiser, strategy, subdivisions=settings.subdivisions, ema=settings.ema)


def _identity(task: Task) -> dict[str, Any]:
    chosen = {name: value for name, value in knobs.as_mapping(task.settings).items() if name not in _SPEED}
    software = {"tensorflow": tf.__version__, "keras": keras.__version__}
    return {"settings": chosen, "cfg": cfg.write(task.sections), "seed": task.inputs.seed, **software}


def _variation(settings: Settings) -> Variation:
    return Variation(settings.flip, settings.jitter, settings.saturation, settings.exposure, settings.hue)

"""A detector while it learns: the learner of `components.vision` with YOLO's loss; a batch in parts to save memory."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from components.vision import learner, optimisers
from components.vision.detection.loss import YoloLoss
from components.vision.detection.network import Network
from components.vision.detection.weights import Convolution


class Batch(NamedTuple):
    """Pictures (n, height, width, 3) uint8, boxes (n, T, 5) float32, weights (n, T) float32: see `YoloLoss`."""

    pictures: np.ndarray
    boxes: np.ndarray
    weights: np.ndarray


class DetectionLearner(learner.Learner):
    """A network, its loss and its optimiser. A step gives the cost that darknet prints, and the sums of its log."""

    def __init__(
        self, network: Network, loss: YoloLoss, optimiser: Any, strategy: Any, *, subdivisions: int, ema: float
    ) -> None:
        super().__init__(network.model, optimiser, strategy, l2=0.0, ema=ema)
        self.network, self.yolo, self.subdivisions = network, loss, subdivisions
        self._step = tf.function(self._traced, input_signature=self._signature(), jit_compile=False, autograph=False)

    def convolutions(self) -> list[Convolution]:
        """The weights to keep, averaged ones if there are any."""
        own = self._swap_in()
        found = self.network.save()
        self._assign(own)
        return found

    def judged(self, judge: Any) -> Any:
        """What `judge()` says while the averaged weights, if there are any, are the model's."""
        own = self._swap_in()
        try:
            return judge()
        finally:
            self._assign(own)

    def _signature(self) -> list[tf.TensorSpec]:
        _, height, width, _ = self.model.input_shape
        specs = [((None, height, width, 3), tf.uint8), ((None, None, 5), tf.float32), ((None, None), tf.float32)]
        return [tf.TensorSpec(shape, dtype) for shape, dtype in [*specs, ((), tf.float32), ((), tf.float32)]]

    def _learn(self, pictures: Any, targets: Any, weights: Any, count: Any) -> tuple[Any, Any]:
        variables = self.model.trainable_variables
        rows = tf.shape(pictures)[0]

        def part(number: Any) -> tuple[Any, ...]:
            here = slice(rows * number // self.subdivisions, rows * (number + 1) // self.subdivisions)
            return self._gradients(pictures[here], targets[here], weights[here], count)

        if self.subdivisions == 1:
            sums = part(0)
        else:
            parts = len(variables) + 2
            start = [tf.zeros(v.shape) for v in variables]
            start += [tf.zeros(()), tf.zeros((len(self.yolo.grid.scales), 7))]
            sums = tf.while_loop(
                lambda number, *_: number < self.subdivisions,
                lambda number, *so_far: (number + 1, *(a + b for a, b in zip(so_far, part(number), strict=True))),
                [tf.constant(0), *start],
            )[1 : parts + 1]
        *gradients, cost, statistics = sums
        self.optimiser.apply(list(gradients), variables)
        return cost, statistics

    def _gradients(self, pictures: Any, boxes: Any, weights: Any, count: Any) -> tuple[Any, ...]:
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            found = self.yolo(self.model(pictures, training=True), boxes, weights, count)
            scaled = self.optimiser.scale_loss(found.loss)
        return (*tape.gradient(scaled, [v.value for v in variables]), found.cost, found.statistics)


def make_optimiser(model: keras.Model, kind: str, policy: str, **options: float) -> Any:
    """An optimiser for all trainable variables; in `mixed_float16` small gradients are kept by scaling the loss."""
    variables = model.trainable_variables
    made = optimisers.build(kind, variables, [1.0] * len(variables), **options)
    if policy == "mixed_float16":
        made = keras.optimizers.LossScaleOptimizer(made)
        made.build(variables)
    return made

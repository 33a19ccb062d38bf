"""A model while it learns: one step, its moving average, and everything needed to go on after a kill."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.vision import losses, nvidia, optimisers
from components.vision import model as models
from components.vision.batches import Batch
from components.vision.inference import forward_function

_POLICIES = {"off": "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


def prepare_tensorflow(seed: int) -> None:
    """Every operation deterministic, every generator seeded: same seed, machine type and threads, same bytes.

    float32 stays float32 on a GPU, too: TF32, its default there, rounds factors to 10 bits, and what a model predicts
    would differ from the processor's in the third digit.

    Raises:
        GpuUnused: TensorFlow sees no GPU in a container that was given one.
    """
    nvidia.load_cusolver()
    gpus = tf.config.list_physical_devices("GPU")
    nvidia.check_used(len(gpus))
    for gpu in gpus:
        with suppress(RuntimeError):  # this process has computed already: too late, and no harm
            tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def policy_of(precision: str) -> str:
    """The Keras policy of the knob `precision`; `auto` is mixed float16 where a GPU has it in hardware."""
    if precision != "auto":
        return _POLICIES[precision]
    found = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return "mixed_float16" if found and min(found) >= (7, 0) else "float32"


def strategy_of(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Mirrored over several GPUs, the default otherwise. `devices` names logical devices instead."""
    several = list(devices) if devices else [d.name for d in tf.config.list_logical_devices("GPU")]
    return tf.distribute.MirroredStrategy(several) if len(several) > 1 else tf.distribute.get_strategy()


class Learner:
    """A model, its optimiser and, if wished, the moving average of its weights.

    Attributes:
        model: as `models.build` makes it, built under the strategy's scope.
        optimiser: as `optimisers.build` makes it, for all trainable variables.
        loss: what is minimised, one of `losses.LOSSES`.
    """

    def __init__(
        self,
        model: keras.Model,
        optimiser: Any,
        strategy: tf.distribute.Strategy,
        *,
        l2: float,
        ema: float,
        loss: str = "categorical_crossentropy",
    ) -> None:
        self.model, self.optimiser, self.strategy, self.l2, self.ema = model, optimiser, strategy, l2, ema
        self.loss = losses.LOSSES[loss]
        with strategy.scope():
            self.averages = (
                [tf.Variable(w.numpy(), trainable=False, dtype=tf.float32) for w in model.weights] if ema else []
            )
        self._step: Any = None

    def begin_stage(self, *, frozen: bool) -> None:
        """Freezes or frees the backbone. While frozen, its normalisation uses its stored statistics."""
        models.part(self.model, "backbone").trainable = not frozen
        self._step = tf.function(self._traced, input_signature=self._signature(), jit_compile=False, autograph=False)

    def step(self, batch: Batch, rate: float, number: int) -> tuple[Any, Any]:
        """Learns from one batch.

        Args:
            batch: pictures (n, S, S, 3) uint8, targets (n, outputs), weights (n,).
            rate: learning rate of the head.
            number: of steps before this one in the whole training.

        Returns:
            Loss and the number of rows that are right (see `losses.Loss`), both still tensors.
        """
        # A young average follows fast, or it would remember the random start (as in tf.train).
        keep = min(self.ema, (1 + number) / (10 + number))
        return self._step(*batch, tf.constant(rate, tf.float32), tf.constant(keep, tf.float32))

    def evaluate(self, batches: Any) -> np.ndarray:
        """Outputs (n, outputs) float64 of batches (n, S, S, 3) uint8, by the averaged weights if there are any."""
        own = self._swap_in()
        forward = forward_function(self.model)
        try:
            found = [forward(tf.convert_to_tensor(batch)).numpy().astype(np.float64) for batch in batches]
        finally:
            self._assign(own)
        return np.concatenate(found)

    def weights(self) -> dict[str, np.ndarray]:
        """The weights to keep, averaged ones if there are any, named as `models.export_weights` names them."""
        own = self._swap_in()
        found = models.export_weights(self.model)
        self._assign(own)
        return found

    def state(self) -> dict[str, np.ndarray]:
        """Everything that the next step depends on: weights, random generators of the layers, moments, averages."""
        return {name: np.asarray(variable.numpy()) for name, variable in self._named().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Goes back to `state`."""
        for name, variable in self._named().items():
            variable.assign(state[name])

    def fits(self, state: dict[str, np.ndarray]) -> bool:
        """Whether a state is of this very model, optimiser and average."""
        return {n: tuple(v.shape) for n, v in self._named().items()} == {n: a.shape for n, a in state.items()}

    def first_bad_weight(self) -> str:
        """Path of the first weight that holds a number that is not finite, or an empty string."""
        return next((w.path for w in self.model.weights if not np.isfinite(w.numpy()).all()), "")

    def _named(self) -> dict[str, Any]:
        groups = {"model": self.model.variables, "optimiser": self.optimiser.variables, "average": self.averages}
        return {f"{group}/{i:04d}": variable for group, found in groups.items() for i, variable in enumerate(found)}

    def _swap_in(self) -> list[np.ndarray]:
        own = [w.numpy() for w in self.model.weights] if self.ema else []
        self._assign([a.numpy() for a in self.averages])
        return own

    def _assign(self, values: list[np.ndarray]) -> None:
        for weight, value in zip(self.model.weights if values else [], values, strict=True):
            weight.assign(value)

    def _signature(self) -> list[tf.TensorSpec]:
        side, num_outputs = self.model.input_shape[1], self.model.output_shape[-1]
        specs = [
            ((None, side, side, 3), tf.uint8),
            ((None, num_outputs), tf.float32),
            ((None,), tf.float32),
            ((), tf.float32),
            ((), tf.float32),
        ]
        return [tf.TensorSpec(shape, dtype) for shape, dtype in specs]

    def _traced(self, pictures: Any, targets: Any, weights: Any, rate: Any, keep: Any) -> tuple[Any, Any]:
        getattr(self.optimiser, "inner_optimizer", self.optimiser).learning_rate.assign(rate)
        count = tf.cast(tf.shape(targets)[0], tf.float32)
        loss, right = self._on_replicas(pictures, targets, weights, count)
        for average, weight in zip(self.averages, self.model.weights if self.ema else [], strict=True):
            average.assign(average * keep + (1 - keep) * tf.cast(weight.value, tf.float32))
        return loss, right

    def _on_replicas(self, pictures: Any, targets: Any, weights: Any, count: Any) -> tuple[Any, Any]:
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            return self._learn(pictures, targets, weights, count)

        def share(context: Any) -> tuple[Any, ...]:
            # Every row goes to exactly one replica, also where the replicas do not divide the batch.
            number, rows = context.replica_id_in_sync_group, tf.shape(targets)[0]
            begin, end = rows * number // replicas, rows * (number + 1) // replicas
            return pictures[begin:end], targets[begin:end], weights[begin:end]

        parts = [
            self.strategy.experimental_distribute_values_from_function(lambda c, i=i: share(c)[i]) for i in range(3)
        ]
        found = self.strategy.run(self._learn, args=(*parts, count))
        return tuple(self.strategy.reduce("SUM", value, axis=None) for value in found)

    def _learn(self, pictures: Any, targets: Any, weights: Any, count: Any) -> tuple[Any, Any]:
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.model(pictures, training=True)
            loss = self.loss.weighted(logits, targets, weights, count)
            whole = (
                loss + (self.l2 / self.strategy.num_replicas_in_sync) * losses.kernel_penalty(variables)
                if self.l2
                else loss
            )
            scaled = self.optimiser.scale_loss(whole)
        self.optimiser.apply(tape.gradient(scaled, [v.value for v in variables]), variables)
        return loss, self.loss.right(logits, targets)


def make_optimiser(model: keras.Model, kind: str, backbone_share: float, policy: str, **options: float) -> Any:
    """An optimiser for all trainable variables of a model; the backbone learns at `backbone_share` of the rate.

    In the policy `mixed_float16` the loss is scaled, or small gradients would become zero.
    """
    body = {id(v) for v in models.part(model, "backbone").trainable_variables}
    variables = model.trainable_variables
    shares = [backbone_share if id(v) in body else 1.0 for v in variables]
    made = optimisers.build(kind, variables, shares, **options)
    if policy == "mixed_float16":
        made = keras.optimizers.LossScaleOptimizer(made)
        made.build(variables)
    return made

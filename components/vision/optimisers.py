"""Optimisers by name, with one rate for the head and a share of it for the backbone."""

from collections.abc import Sequence
from typing import Any

import keras

KINDS = ("adam", "adamw", "sgd", "gradient_descent", "rmsprop", "adagrad", "lion")


def build(
    kind: str, variables: Sequence[Any], shares: Sequence[float], *, weight_decay: float, clip_norm: float
) -> keras.optimizers.Optimizer:
    """An optimiser for exactly these variables.

    Args:
        kind: one of KINDS; `sgd` has Nesterov momentum 0.9, `gradient_descent` none. All take weight decay (decoupled).
        variables: all that will ever be trained.
        shares: of the learning rate, one for each variable.
        weight_decay: per step, times the variable's own share of the learning rate; kernels only. 0 is off.
        clip_norm: largest norm of all gradients together; 0 is off.
    """
    optimiser = _CLASSES[kind](name=kind, global_clipnorm=clip_norm or None, **_OPTIONS[kind])
    optimiser.shares = list(shares)
    optimiser.decays = [weight_decay if len(v.shape) > 1 else 0.0 for v in variables]
    optimiser.build(variables)
    return optimiser


def restart(optimiser: keras.optimizers.Optimizer) -> None:
    """Forgets moments and step count, keeping loss scales: what the head learnt alone says nothing about the backbone.

    Without it Adam would correct the backbone's empty moments as if they were old: first steps three times too large.
    """
    inner = getattr(optimiser, "inner_optimizer", optimiser)
    for variable in inner.variables:
        variable.assign(keras.ops.zeros_like(variable))


class _Shared:
    """Scales the learning rate of single variables, and their decay with it.

    Keras' own decay knows one rate only: it would shrink a backbone that is told not to learn.
    """

    shares: list[float]
    decays: list[float]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        rate = learning_rate * self.shares[index]
        if self.decays[index]:
            self.assign_sub(variable, variable * self.decays[index] * rate)  # type: ignore[attr-defined]
        super().update_step(gradient, variable, rate)  # type: ignore[misc]


class _Adam(_Shared, keras.optimizers.Adam):
    pass


class _AdamW(_Shared, keras.optimizers.AdamW):
    pass


class _Sgd(_Shared, keras.optimizers.SGD):
    pass


class _RmsProp(_Shared, keras.optimizers.RMSprop):
    pass


class _Adagrad(_Shared, keras.optimizers.Adagrad):
    pass


class _Lion(_Shared, keras.optimizers.Lion):
    pass


# No Nadam: Keras keeps one of its numbers outside of `variables`, so that a resumed training would differ.
_CLASSES = {
    "adam": _Adam,
    "adamw": _AdamW,
    "sgd": _Sgd,
    "gradient_descent": _Sgd,
    "rmsprop": _RmsProp,
    "adagrad": _Adagrad,
    "lion": _Lion,
}
# AdamW insists on a number of its own; the decay is ours for all. Adagrad starts at zero, as `restart` leaves it.
_OPTIONS: dict[str, dict[str, Any]] = {
    "adam": {},
    "adamw": {"weight_decay": 0.0},
    "sgd": {"momentum": 0.9, "nesterov": True},
    "gradient_descent": {},
    "rmsprop": {},
    "adagrad": {"initial_accumulator_value": 0.0},
    "lion": {},
}

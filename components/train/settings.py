"""Trains one model of one attribute: a first round, a fine-tuning round, or a student of pseudo-labels.

The same loop serves every round; the phase decides which rounds of data it learns from and where its weights come from.
"""

from dataclasses import dataclass
from typing import Any

from components.knobs import given, knob
from components.vision import network

RESULTS = {"checkpoint": "reference of kind checkpoints: weights, validation predictions, history"}
ARTIFACTS = {
    "curves": ("HTML", "learning curves of every epoch, with the numbers as a table"),
    "metrics": ("Metrics", "metrics of the best weights on the validation fold"),
}


# Of keras.applications, then our own: `vision.backbones` knows how to build them, a test that these are the same.
_NAMES = (
    "InceptionResNetV2 InceptionV3 Xception NASNetMobile NASNetLarge ResNet50 ResNet101 ResNet152 ResNet50V2 "
    "ResNet101V2 ResNet152V2 MobileNet MobileNetV2 MobileNetV3Small MobileNetV3Large DenseNet121 DenseNet169 "
    "DenseNet201 VGG16 VGG19 EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 "
    "EfficientNetB5 EfficientNetB6 EfficientNetB7 EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 "
    "EfficientNetV2B3 EfficientNetV2S EfficientNetV2M EfficientNetV2L ConvNeXtTiny ConvNeXtSmall ConvNeXtBase "
    "EfficientNetLite0 small_cnn small_resnet small_separable tiny_cnn tiny_resnet"
)
BACKBONES = (*_NAMES.split(), *network.ZOO)


@dataclass(frozen=True)
class Inputs:
    """What the pipeline hands over."""

    shards: str = given("reference of kind shards of this attribute")
    attribute: dict[str, Any] = given("the attribute: name, optional knobs under `train` or the phase")
    model: dict[str, Any] = given("the model: name, optional knobs under `train` or the phase")
    phase: str = knob("round1", "what this training is", choices=("round1", "round2", "student"))
    start: str = given("checkpoint reference to start from; empty: fresh weights, or a student's teacher", "")
    pseudo: str = given("pseudo reference whose rows are learnt too; empty: none", "")
    data_root: str = given("folder or gs:// address under which references lie", ".seamline/data")
    seed: int = given("of weights, order and variation", 0)


@dataclass(frozen=True)
class Settings:
    """Knobs. The defaults suit full-size photographs on a GPU."""

    backbone: str = knob("InceptionResNetV2", "network family", choices=BACKBONES)
    weights: str = knob(
        "imagenet", "of the backbone where nothing is started from: none, imagenet, or a file, local or gs://"
    )
    network: dict[str, Any] = knob(
        {},
        "what an own network (shathenet_*, lean_*) has otherwise: activation, stages and so on; see docs/networks.md",
    )
    restart: bool = knob(False, "ignore the start checkpoint and begin with `weights`")
    dropout: float = knob(0.3, "share of features dropped before the head", at_least=0, at_most=0.95)
    views: list[str] = knob([], "views of the shards to learn from; empty: all")
    view_sampling: str = knob(
        "all", "per epoch every view of a picture, or one drawn at random", choices=("all", "one")
    )
    augment: str = knob(
        "none",
        "random variation on top of the views; rotate: up to 20 degrees, zoom: 0.8 to 1.2",
        choices=(
            *("none", "flip", "shift", "shift_flip", "shift_flip_cutout"),
            *("rotate", "zoom", "shift_rotate_zoom", "shift_flip_rotate_zoom"),
        ),
    )
    mixup: float = knob(0.0, "alpha of mixup; 0 is off", at_least=0, at_most=10)
    targets: str = knob(
        "y60m40",
        "how a label with fuzzy classes becomes a target",
        choices=("hard", "y60m40", "m10", "josephpai", "ordinal"),
    )
    loss: str = knob(
        "task",
        "what is minimised: the loss of the attribute's task, or, where one class is right, focal or brier",
        choices=("task", "focal", "brier"),
    )
    label_smoothing: float = knob(
        0.0, "share of every target spread evenly; harmful for a teacher", at_least=0, at_most=0.9
    )
    rounds: str = knob(
        "auto",
        "rounds learnt from; base: all but the newest; auto: base in round1, else newest",
        choices=("auto", "base", "newest", "all"),
    )
    fold: int = knob(
        0, "the fold that never trains and judges; beyond the data's folds: all train, nothing is measured", at_least=0
    )
    valid_rounds: str = knob(
        "all",
        "rounds whose pictures of the fold judge; newest: nothing judges both a champion and the next round's model",
        choices=("all", "newest"),
    )
    epochs: int = knob(10, "longest training", unit="epochs", at_least=1)
    frozen_epochs: int = knob(1, "of them with a frozen backbone, only the head learns", unit="epochs", at_least=0)
    batch_size: int = knob(32, "rows of a step, over all GPUs together", unit="pictures", at_least=1)
    optimiser: str = knob(
        "adam",
        "kind of optimiser; sgd has Nesterov momentum 0.9, gradient_descent none",
        choices=("adam", "adamw", "sgd", "gradient_descent", "rmsprop", "adagrad", "lion"),
    )
    learning_rate: float = knob(1e-4, "highest rate once the backbone learns", at_least=0)
    head_learning_rate: float = knob(1e-3, "rate while the backbone is frozen", at_least=0)
    backbone_share: float = knob(1.0, "the backbone's learning rate as a share of the head's", at_least=0, at_most=1)
    schedule: str = knob(
        "cosine",
        "how the rate falls after the warm-up; inverse: as 1/t",
        choices=("cosine", "linear", "exponential", "inverse", "steps", "constant"),
    )
    warmup_epochs: float = knob(0.5, "linear rise of the rate", unit="epochs", at_least=0)
    final_share: float = knob(
        0.01, "the last rate as a share of the highest, but for steps and constant", at_least=0, at_most=1
    )
    decay_at: list[float] = knob(
        [0.5, 0.75], "shares of the way at which `steps` lowers the rate", at_least=0, at_most=1
    )
    decay_factor: float = knob(0.1, "what `steps` multiplies the rate by", at_least=0, at_most=1)
    weight_decay: float = knob(0.0, "decoupled, times the rate, kernels only", at_least=0)
    l2: float = knob(1e-5, "times the sum of squared kernels, added to the loss", at_least=0)
    clip_norm: float = knob(0.0, "largest norm of the gradients; 0 is off", at_least=0)
    ema: float = knob(0.0, "moving average of the weights, for instance 0.995; 0 is off", at_least=0, at_most=0.99999)
    monitor: str = knob(
        "map", "what the best weights are best at", choices=("map", "accuracy", "basic_precision", "loss")
    )
    patience: int = knob(5, "epochs without a better one before stopping; 0: never", unit="epochs", at_least=0)
    pseudo_weight: float = knob(1.0, "factor on the weights of pseudo rows", at_least=0, at_most=1)
    precision: str = knob(
        "auto",
        "of the arithmetic; auto: float16 where GPUs are made for it",
        choices=("auto", "off", "float16", "bfloat16"),
    )
    gradient_check: bool = knob(False, "before training, compare the network's gradients with finite differences")
    cache_mb: int = knob(4000, "decoded pictures kept in memory if they all fit", unit="MB", at_least=0)
    threads: int = knob(2, "pictures decoded at a time", at_least=1, at_most=256)

    def contradiction(self) -> str:
        """Which knob does not go with another, and why; empty when all do."""
        if self.frozen_epochs > self.epochs:
            why = f"exceeds epochs={self.epochs}; lower it, 0 trains everything from the start"
            return f"frozen_epochs={self.frozen_epochs} {why}"
        return network.contradiction(self.backbone, self.network)

"""Trains a detector of the YOLOv3 family on prepared pictures with boxes.

By Keras, or by a darknet program when one is named; both leave weights and configuration in darknet's own formats.
"""

import re
from dataclasses import dataclass

from components.knobs import given, knob

_CHECKSUM = re.compile(r"#(sha256=[0-9a-f]{64}|md5=[0-9a-f]{32})$", re.I)
RESULTS = {"detector": "reference of kind detectors: weights and configuration in darknet's formats, the log"}
ARTIFACTS = {
    "curves": ("HTML", "loss, IOU and average precision over the iterations"),
    "metrics": ("Metrics", "average precision on the validation split, last loss and IOU"),
}


@dataclass(frozen=True)
class Inputs:
    """What the pipeline hands over."""

    boxes: str = given("reference of kind boxes, split")
    data_root: str = given("folder or gs:// address under which references lie", ".seamline/data")
    seed: int = given("of weights, order, variation and anchors", 0)
    files_digest: str = given("of the files that the settings name: other bytes, another task", "")


@dataclass(frozen=True)
class Settings:
    """Knobs, under darknet's names where it has one. Most defaults are those of yolov3.cfg; they want a GPU."""

    trainer: str = knob("keras", "what learns; darknet: the program named by darknet", choices=("keras", "darknet"))
    network: str = knob(
        "full",
        "YOLOv3, YOLOv3-tiny, or a far smaller one that a laptop's processor trains in minutes",
        choices=("full", "tiny", "micro"),
    )
    weights: str = knob(
        "",
        "darknet weights to start from, also of the first layers only (darknet53.conv.74): local, gs:// or "
        "https://HOST/FILE#sha256=HEX (or #md5=HEX)",
    )
    anchors: str = knob(
        "cfg",
        "shapes that boxes are measured against: the network's own, or k-means of the training boxes",
        choices=("cfg", "kmeans"),
    )
    iterations: int = knob(
        0,
        "max_batches; 0: the largest of 2000 a class, the number of training pictures, and 6000",
        unit="iterations",
        at_least=0,
    )
    batch: int = knob(64, "pictures of an iteration", unit="pictures", at_least=1)
    subdivisions: int = knob(1, "parts in which an iteration passes through the network, to save memory", at_least=1)
    checkpoint_every: int = knob(
        1000,
        "between saved states; the validation split is judged at each, and the best weights are kept",
        unit="iterations",
        at_least=1,
    )
    optimiser: str = knob("sgd", "kind of optimiser; sgd has Nesterov momentum 0.9", choices=("sgd", "adam", "adamw"))
    learning_rate: float = knob(1e-3, "highest rate", at_least=0)
    burn_in: int = knob(
        1000, "rise of the rate, with the fourth power; at most a tenth of the way", unit="iterations", at_least=0
    )
    schedule: str = knob("steps", "how the rate falls after the rise", choices=("steps", "cosine", "constant"))
    decay_at: list[float] = knob(
        [0.8, 0.9], "shares of the way at which `steps` lowers the rate", at_least=0, at_most=1
    )
    decay_factor: float = knob(0.1, "what `steps` multiplies the rate by", at_least=0, at_most=1)
    weight_decay: float = knob(5e-4, "decoupled, times the rate, kernels only", at_least=0)
    clip_norm: float = knob(0.0, "largest norm of the gradients; 0 is off", at_least=0)
    ema: float = knob(0.0, "moving average of the weights, for instance 0.995; 0 is off", at_least=0, at_most=0.99999)
    ignore_iou: float = knob(
        0.7, "ignore_thresh: a prediction that overlaps a box more than this is no mistake", at_least=0, at_most=1
    )
    flip: bool = knob(True, "half of the pictures are mirrored")
    jitter: float = knob(
        0.3, "largest change of scale, of shape and of place, share of the side", at_least=0, at_most=0.9
    )
    saturation: float = knob(1.5, "largest factor on the saturation, and its inverse", at_least=1, at_most=10)
    exposure: float = knob(1.5, "largest factor on the brightness, and its inverse", at_least=1, at_most=10)
    hue: float = knob(0.1, "largest turn of the hue, share of the circle", at_least=0, at_most=0.5)
    precision: str = knob(
        "auto",
        "of the arithmetic; auto: float16 where GPUs are made for it",
        choices=("auto", "off", "float16", "bfloat16"),
    )
    cache_mb: int = knob(4000, "decoded pictures kept in memory if they all fit", unit="MB", at_least=0)
    threads: int = knob(2, "pictures decoded at a time", at_least=1, at_most=256)
    darknet: str = knob("darknet", "the darknet program, a path or a name on PATH, for trainer=darknet")
    darknet_arguments: list[str] = knob(["-dont_show"], "added to the end of darknet's command line")

    def contradiction(self) -> str:
        """Which knob does not go with another, and why; empty when all do."""
        if self.batch % self.subdivisions:
            return f"subdivisions={self.subdivisions} does not divide batch={self.batch}; give one that does"
        if sorted(self.decay_at) != self.decay_at:
            return f"decay_at={self.decay_at} is not ascending; sort it"
        if self.weights.startswith(("http://", "https://")) and not _CHECKSUM.search(self.weights):
            return f"weights={self.weights} has no checksum; add one as #sha256=HEX or #md5=HEX"
        return ""

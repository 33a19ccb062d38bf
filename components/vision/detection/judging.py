"""How good a detector is on pictures whose boxes are known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from components.vision.detection import average_precision
from components.vision.detection.average_precision import Truths
from components.vision.detection.batches import Pictures
from components.vision.detection.detections import Choice, Detections, detect
from components.vision.detection.network import Network

Watch = Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Judgement:
    """Found boxes of each picture; `by_class` (classes, 10) average precision at IoU 0.5, 0.55 to 0.95."""

    found: Sequence[Detections]
    by_class: np.ndarray

    @property
    def ap50(self) -> float:
        """At IoU 0.5."""
        return mean(self.by_class[:, 0])

    @property
    def ap(self) -> float:
        """Mean over IoU 0.5 to 0.95."""
        return mean(self.by_class)


def judge(
    network: Network, pictures: Pictures, choice: Choice, batch: int, watch: Watch = lambda batches: batches
) -> Judgement:
    """Detects in all pictures and compares. `watch` sees the batches go by and may end it."""
    found = list(detect(network, watch(pictures.in_order(batch)), choice))
    return judged(pictures.truths, found, network.num_classes)


def judged(truths: Sequence[Truths], found: Sequence[Detections], num_classes: int) -> Judgement:
    """Compares what was found with what is there."""
    return Judgement(found, average_precision.mean_average_precision(truths, found, num_classes))


def mean(values: np.ndarray) -> float:
    """Of the classes that are there; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")

"""What a detector found on one split, and what was there to be found."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from components.artifacts import boxes as box_tables
from components.artifacts import detectors, reference
from components.detect_test.settings import Inputs, Settings
from components.errors import DataError
from components.vision import bootstrap
from components.vision.detection import average_precision, cfg, judging, network, weights
from components.vision.detection.average_precision import Curve, Matches
from components.vision.detection.batches import Pictures, refuse_leak
from components.vision.detection.detections import Choice, Detections


@dataclass(frozen=True)
class Evidence:
    """Pictures, what is in them, and what was found; `judgement` in the order of the pictures."""

    classes: Sequence[str]
    pictures: Pictures
    judgement: judging.Judgement
    score_threshold: float

    @cached_property
    def matches(self) -> list[Matches]:
        """Of each class, at IoU 0.5."""
        truths, found, at = self.pictures.truths, self.judgement.found, average_precision.THRESHOLDS[:1]
        return [average_precision.match(truths, found, kind, at) for kind in range(len(self.classes))]

    @cached_property
    def curve(self) -> Curve:
        """Precision and recall at IoU 0.5, all classes together."""
        return average_precision.curve(self.matches)

    @cached_property
    def ap50_interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of AP50 over groups of equal pictures; NaN, NaN where AP50 is not defined."""
        rows, groups = len(self.pictures), self.pictures.groups
        return bootstrap.quantiles(bootstrap.redrawn(self._ap50_of, rows, groups, bootstrap.RESAMPLES, seed=0))

    def _ap50_of(self, drawn: np.ndarray) -> float:
        times = np.bincount(drawn, minlength=len(self.pictures))
        by_class = [average_precision.average_precision(found, times) for found in self.matches]
        return judging.mean(np.array(by_class))

    @cached_property
    def counted(self) -> list[Detections]:
        """Found boxes from the score on that counts."""
        return [found.take(found.scores >= self.score_threshold) for found in self.judgement.found]

    @cached_property
    def qualities(self) -> np.ndarray:
        """(pictures,) panoptic quality of the boxes that count."""
        pairs = zip(self.pictures.truths, self.counted, strict=True)
        return np.array([average_precision.quality(truth, found) for truth, found in pairs])

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The numbers, those that are not defined among them."""
        precision, recall = self.curve.at(self.score_threshold)
        truths, (low, high) = self.pictures.truths, self.ap50_interval
        return {
            "ap50": self.judgement.ap50,
            "ap50_low": low,
            "ap50_high": high,
            "ap50_95": self.judgement.ap,
            "precision": precision,
            "recall": recall,
            "pictures": len(self.pictures),
            "boxes": sum(int((~truth.groups).sum()) for truth in truths),
            "found": sum(map(len, self.counted)),
        }


def gather(settings: Settings, inputs: Inputs) -> Evidence:
    """Runs the detector on the split.

    Raises:
        DataError: other classes or another size than the detector's, pictures that it has learnt from, or none at all.
    """
    detector = detectors.read(inputs.detector)
    refuse_leak(inputs.boxes)
    table = box_tables.read(inputs.boxes)
    pictures = Pictures(inputs.boxes, settings.split, 0, settings.threads)
    _refuse_other(inputs, table, detector)
    _refuse_known(inputs, pictures, detector, settings.split)
    made = network.build(cfg.parse(detector.cfg, f"{inputs.detector}/{detectors.CFG}"), seed=0)
    made.load(weights.read(detector.weights, made.shapes, inputs.detector)[1])
    choice = Choice(settings.smallest_score, settings.nms_iou, settings.most_boxes)
    found = judging.judge(made, pictures, choice, settings.batch)
    return Evidence(detector.classes, pictures, found, settings.score_threshold)


def _refuse_other(inputs: Inputs, table: box_tables.BoxTable, detector: detectors.Detector) -> None:
    about = reference.read_index(inputs.detector, detectors.KIND)
    for what, own, theirs in (
        ("classes", list(table.classes), list(detector.classes)),
        ("pictures of size", table.size_px, about["size_px"]),
    ):
        if own != theirs:
            raise DataError(
                f"{inputs.boxes} has {what} {own}, the detector {inputs.detector} {theirs}; test it on pictures that "
                "were prepared as those it was trained on"
            )


def _refuse_known(inputs: Inputs, pictures: Pictures, detector: detectors.Detector, split: str) -> None:
    """The test split must be new to the detector; the validation split has chosen its weights and may say so."""
    if not len(pictures):
        raise DataError(f"{inputs.boxes} has no picture in the split {split}; give split a larger share")
    known = set(detector.learnt) & set(pictures.names) if split == "test" else set()
    if known:
        raise DataError(
            f"leak: {len(known)} of the {len(pictures)} test pictures, for instance {min(known)}, were learnt by the "
            f"detector {inputs.detector}; test it on the split that it was trained with"
        )

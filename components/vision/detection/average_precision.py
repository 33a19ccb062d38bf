"""Average precision as COCO's own evaluation computes it; a test compares every number with pycocotools.

In each picture and class the found boxes, highest score first, each take the box that they overlap most, if by no less
than the threshold and not taken before. A group (COCO: crowd) is neither a hit nor a miss, may be taken by many, and
its overlap is the share of the found box in it. Precision is made non-increasing and averaged at 101 recalls.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.vision.detection import geometry
from components.vision.detection.detections import Detections

THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Truths:
    """What is in one picture: boxes (m, 4) corners 0..1, classes (m,) int, groups (m,) bool."""

    boxes: np.ndarray
    classes: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class Matches:
    """Found boxes of one class over all pictures, highest score first.

    Attributes:
        scores: (m,).
        hits: (thresholds, m) bool, the box is one that is there.
        counts: (thresholds, m) bool, False where it fell to a group.
        pictures: (m,) int, place of the picture that it was found in.
        there: (pictures,) int, number of boxes to be found in each.
    """

    scores: np.ndarray
    hits: np.ndarray
    counts: np.ndarray
    pictures: np.ndarray
    there: np.ndarray

    @property
    def positives(self) -> int:
        """Number of boxes to be found."""
        return int(self.there.sum())


@dataclass(frozen=True)
class Curve:
    """Precision and recall (m,) over falling scores (m,), at one threshold of IoU, all classes together."""

    scores: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    def at(self, score: float) -> tuple[float, float]:
        """Precision and recall of the boxes from a score on; precision is NaN where there are none."""
        number = int((self.scores >= score).sum())
        if not number:
            return float("nan"), 0.0 if len(self.recall) else float("nan")
        return float(self.precision[number - 1]), float(self.recall[number - 1])


def match(
    truths: Sequence[Truths], found: Sequence[Detections], kind: int, thresholds: np.ndarray = THRESHOLDS
) -> Matches:
    """Matches one class in all pictures."""
    parts = [_match_picture(t, f, kind, thresholds) for t, f in zip(truths, found, strict=True)]
    scores = np.concatenate([np.zeros(0), *(part.scores for part in parts)])
    order = np.argsort(-scores, kind="stable")
    nothing = np.zeros((len(thresholds), 0), bool)
    return Matches(
        scores[order],
        np.concatenate([nothing, *(part.hits for part in parts)], axis=1)[:, order],
        np.concatenate([nothing, *(part.counts for part in parts)], axis=1)[:, order],
        np.repeat(np.arange(len(parts)), [len(part.scores) for part in parts])[order],
        np.array([part.positives for part in parts], np.int64),
    )


def average_precision(matches: Matches, times: np.ndarray | None = None) -> np.ndarray:
    """(thresholds,) 0..1; NaN where there is nothing to be found.

    Args:
        matches: of one class.
        times: (pictures,) int, how often each picture is there, as a bootstrap draws them; once each if None.
    """
    times = np.ones(len(matches.there), np.int64) if times is None else times
    weights, positives = times[matches.pictures], int(times @ matches.there)
    if not positives:
        return np.full(len(matches.hits), np.nan)
    pairs = zip(matches.hits, matches.counts, strict=True)
    return np.array([_area(hits[counts], weights[counts], positives) for hits, counts in pairs])


def mean_average_precision(
    truths: Sequence[Truths], found: Sequence[Detections], num_classes: int, thresholds: np.ndarray = THRESHOLDS
) -> np.ndarray:
    """(classes, thresholds): AP of each class at each IoU; NaN for a class that no picture has."""
    return np.stack([average_precision(match(truths, found, kind, thresholds)) for kind in range(num_classes)])


def curve(matches: Sequence[Matches], threshold: int = 0) -> Curve:
    """Precision and recall over the scores, of several classes together; empty where nothing is to be found."""
    scores = np.concatenate([m.scores[m.counts[threshold]] for m in matches])
    hits = np.concatenate([m.hits[threshold][m.counts[threshold]] for m in matches])
    order = np.argsort(-scores, kind="stable")
    right, positives = np.cumsum(hits[order]), sum(m.positives for m in matches)
    if not positives:
        return Curve(np.zeros(0), np.zeros(0), np.zeros(0))
    return Curve(scores[order], right / np.arange(1, len(order) + 1), right / positives)


def quality(truth: Truths, found: Detections, threshold: float = 0.5) -> float:
    """How well one picture is understood, 0..1: panoptic quality (Kirillov 2019), the sum of the hits' IoU over hits
    and half of what is missed or wrong. 1 where nothing is there and nothing was found.
    """
    overlaps, wrong, missed = [], 0, 0
    for kind in np.unique(np.concatenate([truth.classes, found.classes])):
        part = _match_picture(truth, found, int(kind), np.array([threshold]))
        overlaps += list(part.overlaps[part.hits[0]])
        wrong += int((part.counts[0] & ~part.hits[0]).sum())
        missed += part.positives - int(part.hits[0].sum())
    whole = len(overlaps) + (wrong + missed) / 2
    return sum(overlaps) / whole if whole else 1.0


@dataclass(frozen=True)
class _Picture:
    scores: np.ndarray
    hits: np.ndarray
    counts: np.ndarray
    positives: int
    overlaps: np.ndarray  # of what each found box took, at the first threshold


def _match_picture(truth: Truths, found: Detections, kind: int, thresholds: np.ndarray) -> _Picture:
    there = np.flatnonzero(truth.classes == kind)
    there = there[np.argsort(truth.groups[there], kind="stable")]  # groups last
    mine = np.flatnonzero(found.classes == kind)
    mine = mine[np.argsort(-found.scores[mine], kind="stable")]
    groups = truth.groups[there]
    overlap = _overlap(found.boxes[mine], truth.boxes[there], groups)
    taken = [_take(overlap, groups, threshold) for threshold in thresholds]
    hits = np.array([(t >= 0) & ~np.append(groups, False)[t] for t in taken]).reshape(len(thresholds), -1)
    counts = np.array([(t < 0) | ~np.append(groups, False)[t] for t in taken]).reshape(len(thresholds), -1)
    best = np.array([overlap[row, t] if t >= 0 else 0.0 for row, t in enumerate(taken[0])])
    return _Picture(found.scores[mine], hits, counts, int((~groups).sum()), best)


def _overlap(found: np.ndarray, there: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(found, there): IoU, or the share of the found box in a group."""
    area = np.maximum(geometry.area(found), np.finfo(float).tiny)
    share = geometry.intersection(found, there) / area[:, None]
    return np.where(groups[None], share, geometry.iou(found, there))


def _take(overlap: np.ndarray, groups: np.ndarray, threshold: float) -> np.ndarray:
    """(found,) which of the boxes each found one takes, or -1; groups are asked only where no single box is left."""
    free = np.ones(overlap.shape[1], bool)
    taken = np.full(len(overlap), -1)
    for row, values in enumerate(overlap):
        for those in (~groups, groups):
            allowed = np.flatnonzero(those & free & (values >= min(threshold, 1 - 1e-10)))
            if len(allowed):
                # Of equal ones the last, as COCO's evaluation.
                taken[row] = allowed[len(allowed) - 1 - values[allowed][::-1].argmax()]
                free[taken[row]] = groups[taken[row]]
                break
    return taken


def _area(hits: np.ndarray, weights: np.ndarray, positives: int) -> float:
    at = np.flatnonzero(hits & (weights > 0))  # precision falls everywhere else, and recall stands still
    right = np.cumsum(weights[at])
    precision = right / np.cumsum(weights)[at]
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(right / positives, _RECALLS, side="left")
    return float(np.append(highest, 0.0)[np.minimum(places, len(at))].mean())

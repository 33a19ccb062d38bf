"""Darknet's training log: written as pjreddie's program writes it, read from that and from AlexeyAB's.

An iteration is a line for each scale of each part (`Region 16 Avg IOU: ...`) and one with the loss. An IOU of nan or
-nan means that no box fell to the scale, and so does AlexeyAB's `(IOU: 0.000000), count: 1`, which makes 1 of a count
of 0: it says nothing and is skipped; the others are weighted by their count.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from components.vision.detection.loss import STATISTICS

_NUMBER = r"(-?(?:nan|inf|[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?))"
_ITERATION = re.compile(rf"^\s*(\d+): {_NUMBER}, {_NUMBER} avg(?: loss)?, {_NUMBER} rate, [^ ]+ seconds, (\d+) images")
_REGION = re.compile(rf"Region \d+ Avg (\(?)IOU: {_NUMBER}.*?count: (\d+)")


@dataclass(frozen=True)
class Log:
    """Iterations of a log, each (n,): number, loss, its running average, rate, pictures seen, IOU of all scales.

    An IOU is NaN where no box fell to any scale.
    """

    iteration: np.ndarray
    loss: np.ndarray
    average: np.ndarray
    rate: np.ndarray
    images: np.ndarray
    iou: np.ndarray

    def __len__(self) -> int:
        return len(self.iteration)


def parse(text: str) -> Log:
    """Reads a log of either program; other lines are passed over. An iteration told again replaces all from it on."""
    rows: list[tuple[float, ...]] = []
    overlap = count = 0.0
    for line in text.splitlines():
        if region := _REGION.search(line):
            iou, number = float(region[2]), int(region[3])
            nothing = not number or (region[1] and iou == 0 and number == 1)
            if not nothing and np.isfinite(iou):
                overlap, count = overlap + iou * number, count + number
        elif found := _ITERATION.match(line):
            number = int(found[1])
            while rows and rows[-1][0] >= number:
                rows.pop()
            rows.append((number, *map(float, found.group(2, 3, 4, 5)), overlap / count if count else np.nan))
            overlap = count = 0.0
    columns = np.array(rows, np.float64).reshape(-1, 6).T
    return Log(columns[0].astype(np.int64), *columns[1:])


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each window of values that follow each other, without NaN; one value for each window."""
    return np.array([mean(values[at : at + window]) for at in range(0, len(values), window)])


def mean(values: np.ndarray) -> float:
    """Mean of the finite values; NaN where there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def running_average(losses: Sequence[float]) -> list[float]:
    """Darknet's average: nine tenths of the last, one tenth of the new; it begins with the first loss."""
    found: list[float] = []
    for loss in losses:
        found.append(0.9 * found[-1] + 0.1 * loss if found else loss)
    return found


def region_line(layer: int, sums: Sequence[float], num_predictions: int) -> str:
    """One scale of one iteration.

    Args:
        layer: number of the [yolo] section.
        sums: in the order of `loss.STATISTICS`.
        num_predictions: of the scale in all pictures of the iteration.
    """
    about = dict(zip(STATISTICS, map(float, sums), strict=True))
    count = about["count"]
    mean = {name: value / count if count else float("nan") for name, value in about.items()}
    return (
        f"Region {layer} Avg IOU: {mean['iou']:f}, Class: {mean['class']:f}, Obj: {mean['object']:f}, "
        f"No Obj: {about['anything'] / num_predictions:f}, .5R: {mean['recall50']:f}, .75R: {mean['recall75']:f},  "
        f"count: {count:.0f}"
    )


def iteration_line(number: int, loss: float, average: float, rate: float, seconds: float, images: int) -> str:
    """One iteration; `images` is how many pictures were seen so far."""
    return f"{number}: {loss:f}, {average:f} avg, {rate:f} rate, {seconds:f} seconds, {images} images"


def text(lines: Iterable[str]) -> str:
    """The log as a file."""
    return "".join(f"{line}\n" for line in lines)

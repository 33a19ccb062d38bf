"""Where a YOLO network predicts: every cell of every scale with every anchor, in the order of the model's output."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Scale:
    """One [yolo] section.

    Attributes:
        layer: its number in the configuration, which the log names as region.
        rows, columns: of cells.
        mask: numbers of its anchors in the list of all.
    """

    layer: int
    rows: int
    columns: int
    mask: tuple[int, ...]

    @property
    def num_predictions(self) -> int:
        """Cells times anchors."""
        return self.rows * self.columns * len(self.mask)


@dataclass(frozen=True)
class Grid:
    """All scales of a network; `anchors` (n, 2) width and height in shares of the picture's sides.

    A prediction's number is that of its scale's first plus (row * columns + column) * anchors + anchor.
    """

    scales: Sequence[Scale]
    anchors: np.ndarray

    @cached_property
    def cells(self) -> np.ndarray:
        """(predictions, 2) float32: column and row."""
        return np.concatenate([_cells(scale) for scale in self.scales]).astype(np.float32)

    @cached_property
    def sides(self) -> np.ndarray:
        """(predictions, 2) float32: columns and rows of the scale."""
        return np.concatenate([np.full((s.num_predictions, 2), (s.columns, s.rows)) for s in self.scales]).astype(
            np.float32
        )

    @cached_property
    def shapes(self) -> np.ndarray:
        """(predictions, 2) float32: width and height of the anchor."""
        parts = [np.tile(self.anchors[list(s.mask)], (s.rows * s.columns, 1)) for s in self.scales]
        return np.concatenate(parts).astype(np.float32)

    @cached_property
    def of_scale(self) -> np.ndarray:
        """(predictions,) int32: number of the scale, from 0."""
        return np.repeat(np.arange(len(self.scales)), [s.num_predictions for s in self.scales]).astype(np.int32)

    @cached_property
    def owners(self) -> np.ndarray:
        """(anchors, 5) int32: first prediction of the anchor's scale, columns, rows, anchors there, own place there.

        An anchor that no scale has gets -1: boxes of its shape are not learnt, as in darknet.
        """
        found = np.full((len(self.anchors), 5), -1, np.int32)
        first = 0
        for scale in self.scales:
            for place, anchor in enumerate(scale.mask):
                found[anchor] = first, scale.columns, scale.rows, len(scale.mask), place
            first += scale.num_predictions
        return found


def _cells(scale: Scale) -> np.ndarray:
    rows, columns = np.indices((scale.rows, scale.columns))
    return np.repeat(np.stack([columns, rows], axis=-1).reshape(-1, 2), len(scale.mask), axis=0)

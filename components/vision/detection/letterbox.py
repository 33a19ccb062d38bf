"""Pictures turned and letter-boxed, and their boxes with them: shares of the sides, 0 to 1, y down."""

from dataclasses import dataclass

import cv2
import numpy as np

GREY = 128
"""What is left of the square beside the picture; darknet takes half of white, too."""


def turned(boxes: np.ndarray, degrees: int) -> np.ndarray:
    """Boxes (n, 4) of a picture that is turned counterclockwise by 0, 90, 180 or 270 degrees."""
    for _ in range(degrees // 90 % 4):
        x_min, y_min, x_max, y_max = boxes.T
        boxes = np.stack([y_min, 1 - x_max, y_max, 1 - x_min], axis=1)
    return boxes


def turned_picture(pixels: np.ndarray, degrees: int) -> np.ndarray:
    """A picture (h, w, 3), turned as `turned` turns its boxes."""
    return np.ascontiguousarray(np.rot90(pixels, degrees // 90 % 4))


@dataclass(frozen=True)
class LetterBox:
    """Where a whole picture lies in a square, its shape kept, in the middle. All in pixels."""

    side: int
    width: int
    height: int
    left: int
    top: int

    @classmethod
    def of(cls, width: int, height: int, side: int) -> "LetterBox":
        """The largest for a picture of this size."""
        longer = max(width, height)
        inner = max(1, round(width * side / longer)), max(1, round(height * side / longer))
        return cls(side, *inner, (side - inner[0]) // 2, (side - inner[1]) // 2)

    def apply(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) of the picture as boxes of the square."""
        return (boxes * self._inner + self._corner) / self.side

    def draw(self, pixels: np.ndarray) -> np.ndarray:
        """A picture (h, w, 3) uint8 in its square (side, side, 3)."""
        shrinks = pixels.shape[1] > self.width
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        square = np.full((self.side, self.side, 3), GREY, np.uint8)
        inside = square[self.top : self.top + self.height, self.left : self.left + self.width]
        inside[...] = cv2.resize(pixels, (self.width, self.height), interpolation=way)
        return square

    @property
    def _inner(self) -> np.ndarray:
        return np.array([self.width, self.height] * 2, np.float64)

    @property
    def _corner(self) -> np.ndarray:
        return np.array([self.left, self.top] * 2, np.float64)

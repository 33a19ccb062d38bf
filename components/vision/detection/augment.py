"""Random variation of pictures with their boxes, as darknet varies them: mirror, crop or widen, colours.

All draws of a batch come from one generator before any pixel is touched, so threads change nothing.
"""

from dataclasses import dataclass

import cv2
import numpy as np

_GREY = (127, 127, 127)  # what comes into sight beyond the edge
_VISIBLE = 0.1  # of a box's area: less of it left in the picture is nothing to learn


@dataclass(frozen=True)
class Variation:
    """How far a picture may be changed; the defaults change nothing.

    Attributes:
        flip: half of the pictures are mirrored.
        jitter: each edge moves by up to this share of the side, outwards or inwards.
        saturation, exposure: largest factor, and its inverse.
        hue: largest turn, share of the circle.
    """

    flip: bool = False
    jitter: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0
    hue: float = 0.0


@dataclass(frozen=True)
class Draw:
    """One picture's changes: mirrored or not, the window (left, top, right, bottom) in shares, hue, factors."""

    mirrored: bool
    window: np.ndarray
    hue: float
    saturation: float
    exposure: float


def draw(variation: Variation, count: int, generator: np.random.Generator) -> list[Draw]:
    """The changes of `count` pictures; equal generators give equal changes."""
    mirrored = generator.random(count) < (0.5 if variation.flip else 0)
    edges = generator.uniform(-variation.jitter, variation.jitter, (count, 4))
    windows = edges / 2 + np.array([0, 0, 1, 1])  # never narrower than 1 - jitter, wider than 1 + jitter
    hues = generator.uniform(-variation.hue, variation.hue, count)
    factors = [_factors(largest, count, generator) for largest in (variation.saturation, variation.exposure)]
    return [Draw(*values) for values in zip(mirrored, windows, hues, *factors, strict=True)]


def varied(picture: np.ndarray, change: Draw) -> np.ndarray:
    """A picture (height, width, 3) uint8 RGB, changed, of the same size."""
    height, width = picture.shape[:2]
    out = picture
    if not np.array_equal(change.window, [0, 0, 1, 1]):
        low, high = change.window[:2], change.window[2:]
        scale = 1 / (high - low)
        # Pixels are counted at their centres, half a pixel from the edge.
        shift = -low * scale * [width, height] + (scale - 1) / 2
        matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
        out = cv2.warpAffine(out, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=_GREY)
    out = out[:, ::-1] if change.mirrored else out
    return _coloured(np.ascontiguousarray(out), change)


def moved(boxes: np.ndarray, change: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Where boxes (n, 4) are after a change, cut at the edges, and (n,) bool which of them are still to be seen."""
    low, high = change.window[:2], change.window[2:]
    whole = ((boxes.reshape(-1, 2, 2) - low) / (high - low)).reshape(-1, 4)
    if change.mirrored:
        whole = whole[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [1, 0, 1, 0]
    cut = np.clip(whole, 0, 1)
    area, left = (np.clip(b[:, 2:] - b[:, :2], 0, None).prod(axis=1) for b in (whole, cut))
    return cut, (left > 0) & (left >= _VISIBLE * area)


def _factors(largest: float, count: int, generator: np.random.Generator) -> np.ndarray:
    factors = generator.uniform(1, largest, count)
    return np.where(generator.random(count) < 0.5, factors, 1 / factors)


def _coloured(picture: np.ndarray, change: Draw) -> np.ndarray:
    if change.hue == 0 and change.saturation == 1 and change.exposure == 1:
        return picture
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV_FULL)
    steps = np.arange(256)
    hue = ((steps + round(change.hue * 256)) % 256).astype(np.uint8)
    tables = [
        hue,
        *(np.clip(np.rint(steps * f), 0, 255).astype(np.uint8) for f in (change.saturation, change.exposure)),
    ]
    return cv2.cvtColor(cv2.LUT(hsv, np.stack(tables, axis=-1)[None]), cv2.COLOR_HSV2RGB_FULL)

"""Perceptual hashes: 64 bits that change little when a picture is recompressed, resized or made brighter."""

import cv2
import numpy as np

SIDE_PX = 32
"""Side of the grey thumbnail that the hash, and the second look at a like pair, are made from."""

_FLAT_RANGE = 8


def _cosines() -> np.ndarray:
    """The 8 lowest rows of the 32-point DCT-II, (8, 32) float64."""
    frequency, sample = np.arange(8)[:, None], np.arange(SIDE_PX)[None]
    return np.cos(np.pi * frequency * (2 * sample + 1) / (2 * SIDE_PX))


_COSINES = _cosines()


def thumbnail(rgb: np.ndarray) -> np.ndarray:
    """A picture as (32, 32) uint8 grey, its aspect ratio given up. `rgb`: (H, W, 3) uint8."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def hashes(thumbnails: np.ndarray) -> np.ndarray:
    """The hash of every thumbnail: which of the 64 lowest DCT coefficients exceed their median (the mean left out).

    Args:
        thumbnails: (n, 32, 32) uint8.

    Returns:
        (n,) uint64.
    """
    coefficients = (_COSINES @ thumbnails.astype(np.float64) @ _COSINES.T).reshape(-1, 64)
    # A symmetric picture has coefficients that are zero but for rounding; without this their bits would be noise.
    coefficients = np.round(coefficients, 3)
    bits = coefficients > np.median(coefficients[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


def is_flat(thumbnails: np.ndarray) -> np.ndarray:
    """True where a thumbnail is of one grey: such a picture's hash says nothing. (n, 32, 32) uint8 -> (n,) bool."""
    pixels = thumbnails.reshape(len(thumbnails), -1)
    return pixels.max(axis=1, initial=0).astype(int) - pixels.min(axis=1, initial=255) < _FLAT_RANGE

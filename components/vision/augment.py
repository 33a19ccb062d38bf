"""Light random variation on top of the fixed views, in numpy on uint8, drawn from a generator that the caller seeds."""

from collections.abc import Callable

import cv2
import numpy as np

KINDS = (
    *("none", "flip", "shift", "shift_flip", "shift_flip_cutout"),
    *("rotate", "zoom", "shift_rotate_zoom", "shift_flip_rotate_zoom"),
)
_SHIFT, _CUTOUT = 1 / 12, 1 / 4  # shares of the side: largest shift, side of the blanked square
_ROTATE, _ZOOM = 20.0, 0.2  # largest turn in degrees, either way; how far the scale may be from 1


def augmented(pictures: np.ndarray, kind: str, generator: np.random.Generator) -> np.ndarray:
    """Varies a batch.

    Args:
        pictures: (n, S, S, 3) uint8; left as they are.
        kind: one of KINDS: horizontal flips, shifts by up to S / 12, a black square of S / 4, turns by up to 20
            degrees, scales of 0.8 to 1.2; where a picture ends its edge repeats.
        generator: equal generators give equal pictures.

    Returns:
        (n, S, S, 3) uint8, a new array unless kind is `none`.
    """
    names = kind.split("_")
    for name in names:
        if name in _OPERATIONS:
            pictures = _OPERATIONS[name](pictures, generator)
    if "rotate" in names or "zoom" in names:
        return _warp(pictures, _ROTATE * ("rotate" in names), _ZOOM * ("zoom" in names), generator)
    return pictures


def mixed_up(targets: np.ndarray, alpha: float, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """Draws how a batch is mixed with its own shuffle (mixup, Zhang et al. 2018).

    Returns:
        (n,) int64 partners and the share of the own picture, 0.5..1.
    """
    share = float(generator.beta(alpha, alpha))
    return generator.permutation(len(targets)), max(share, 1 - share)


def _flip(pictures: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    flips = generator.random(len(pictures)) < 0.5
    return np.where(flips[:, None, None, None], pictures[:, :, ::-1], pictures)


def _shift(pictures: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    side = pictures.shape[1]
    most = max(1, round(side * _SHIFT))
    down, right = generator.integers(-most, most + 1, (2, len(pictures)))
    places = np.arange(side)
    out = np.empty_like(pictures)
    for number, picture in enumerate(pictures):
        rows = np.clip(places + down[number], 0, side - 1)
        columns = np.clip(places + right[number], 0, side - 1)
        out[number] = picture[rows][:, columns]
    return out


def _cutout(pictures: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    side = pictures.shape[1]
    hole = max(1, round(side * _CUTOUT))
    tops, lefts = generator.integers(0, side - hole + 1, (2, len(pictures)))
    out = pictures.copy()
    for number, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        out[number, top : top + hole, left : left + hole] = 0
    return out


def _warp(pictures: np.ndarray, turn: float, zoom: float, generator: np.random.Generator) -> np.ndarray:
    # Both at once: what is interpolated twice is blurred twice.
    count, side = len(pictures), pictures.shape[1]
    degrees, scales = generator.uniform(-turn, turn, count), generator.uniform(1 - zoom, 1 + zoom, count)
    out, middle = np.empty_like(pictures), ((side - 1) / 2, (side - 1) / 2)
    for number, picture in enumerate(pictures):
        matrix = cv2.getRotationMatrix2D(middle, degrees[number], scales[number])
        cv2.warpAffine(picture, matrix, (side, side), out[number], cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    return out


_OPERATIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "none": lambda pictures, _: pictures,
    "flip": _flip,
    "shift": _shift,
    "cutout": _cutout,
}

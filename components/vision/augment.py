"""Light random variation on top of the fixed views, in numpy on uint8, drawn from a generator that the caller seeds."""

from collections.abc import Callable

import numpy as np

KINDS = ("none", "flip", "shift", "shift_flip", "shift_flip_cutout")
_SHIFT, _CUTOUT = 1 / 12, 1 / 4  # shares of the side: largest shift, side of the blanked square


def augmented(pictures: np.ndarray, kind: str, generator: np.random.Generator) -> np.ndarray:
    """Varies a batch.

    Args:
        pictures: (n, S, S, 3) uint8; left as they are.
        kind: one of KINDS: horizontal flips, shifts by up to S / 12 (the edge repeats), a black square of S / 4.
        generator: equal generators give equal pictures.

    Returns:
        (n, S, S, 3) uint8, a new array unless kind is `none`.
    """
    for name in kind.split("_"):
        pictures = _OPERATIONS[name](pictures, generator)
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


_OPERATIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "none": lambda pictures, _: pictures,
    "flip": _flip,
    "shift": _shift,
    "cutout": _cutout,
}

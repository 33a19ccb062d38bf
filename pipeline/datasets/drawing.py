"""Draws clothes: one picture of a dressed figure, or of clothes laid flat, from a `Look`.

Places are given in figure units: x to the right from the middle of the body, y down from the top of the head (0) to
the floor (1). Only what decides a label is drawn with care; the rest (colours, ground, pose, noise) varies so that a
network cannot learn by heart. Every picture depends on its `Look` and its random generator alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Points = Sequence[tuple[float, float]]

SHOULDER, WAIST, HIP, FLOOR = 0.18, 0.42, 0.50, 1.0
ARM = 0.36
SKINS = ((236, 200, 175), (214, 168, 136), (172, 122, 92), (112, 76, 56))
_SUBPIXELS = 4


@dataclass(frozen=True)
class Look:
    """What one picture shows.

    Attributes:
        flat: clothes laid flat instead of worn.
        skirt: where the hem is, 0 at the waist, 1 on the floor.
        sleeve: how far the sleeve goes, 0 no sleeve, 1 the wrist; may pass the hand.
        collar: index of the collar's class; 0 is drawn without one.
        veil: how much of the collar a scarf hides, 0 to 1.
        top, bottom: the y range that the picture's frame shows.
    """

    flat: bool
    skirt: float
    sleeve: float
    collar: int
    veil: float
    top: float
    bottom: float


@dataclass(frozen=True)
class _Easel:
    image: Pixels
    placement: NDArray[np.float64]
    rng: np.random.Generator

    def pixels(self, points: Points) -> NDArray[np.float64]:
        """(n, 2) figure units to (n, 2) pixels."""
        flat = np.asarray(points, dtype=np.float64)
        return flat @ self.placement[:, :2].T + self.placement[:, 2]

    def fill(self, points: Points, paint: Pixels) -> None:
        mask = np.zeros(self.image.shape[:2], dtype=np.uint8)
        corners = np.rint(self.pixels(points) * (1 << _SUBPIXELS)).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, _SUBPIXELS)
        share = mask[:, :, None].astype(np.float32) / 255.0
        self.image[:] = np.rint(self.image + (paint.astype(np.float32) - self.image) * share).astype(np.uint8)

    def mirrored(self, points: Points, paint: Pixels) -> None:
        self.fill(points, paint)
        self.fill([(-x, y) for x, y in points], paint)

    def plain(self, colour: Sequence[int]) -> Pixels:
        return np.broadcast_to(np.array(colour, dtype=np.uint8), self.image.shape)


def draw(look: Look, height: int, width: int, rng: np.random.Generator) -> Pixels:
    """Draws one look.

    Args:
        look: what to show.
        height: of the picture, pixels.
        width: of the picture, pixels.
        rng: decides everything that no label depends on.

    Returns:
        (height, width, 3) uint8, RGB.
    """
    easel = _Easel(_ground(look.flat, height, width, rng), _placement(look, height, width, rng), rng)
    skin = easel.plain(SKINS[rng.integers(len(SKINS))])
    spread = float(rng.uniform(0.4, 0.85) if look.flat else rng.uniform(0.12, 0.6))
    if not look.flat:
        _body(easel, skin, spread)
    top, skirt = _cloth(easel), _cloth(easel)
    _skirt(easel, look, skirt)
    _top(easel, look, top, spread)
    if not look.flat:
        _head(easel, skin)
    collar = easel.plain([int(v) for v in _pale(rng)]) if rng.random() < 0.6 else _cloth(easel)
    COLLARS[look.collar](easel, collar)
    if look.veil > 0:
        _scarf(easel, look.veil, _cloth(easel))
    noise = rng.normal(0.0, rng.uniform(2.0, 7.0), easel.image.shape)
    light = rng.uniform(0.8, 1.08)
    return _bytes(easel.image * light + noise)


def _placement(look: Look, height: int, width: int, rng: np.random.Generator) -> NDArray[np.float64]:
    scale = height / (look.bottom - look.top)
    turn = np.deg2rad(rng.uniform(-12, 12) if look.flat else rng.uniform(-3, 3))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale
    middle = np.array([0.0, (look.top + look.bottom) / 2])
    centre = np.array([width * rng.uniform(0.45, 0.55), height / 2])
    return np.column_stack([rotation, centre - rotation @ middle])


def _bytes(values: NDArray[np.floating]) -> Pixels:
    clipped: Pixels = np.clip(values, 0, 255).astype(np.uint8)
    return clipped


def _hue(rng: np.random.Generator, saturation: tuple[int, int], value: tuple[int, int]) -> NDArray[np.float64]:
    """A colour of any hue within the ranges of saturation and value (0 to 255), as RGB."""
    pixel = np.array([[[rng.integers(180), rng.integers(*saturation), rng.integers(*value)]]], dtype=np.uint8)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0], dtype=np.float64)


def _pale(rng: np.random.Generator) -> NDArray[np.float64]:
    return _hue(rng, (0, 45), (205, 250))


def _ground(flat: bool, height: int, width: int, rng: np.random.Generator) -> Pixels:
    """A pale wall with things standing around behind a figure; planks or a sheet beneath clothes laid flat."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    if flat:
        wave = np.sin((rows * rng.uniform(-1, 1) + columns * rng.uniform(0.3, 1)) * rng.uniform(0.15, 0.9))
        wood = np.array((205.0, 180.0, 150.0)) if rng.random() < 0.4 else _pale(rng)
        return _bytes(wood + wave[:, :, None] * rng.uniform(3, 18))
    share = (rows / height)[:, :, None]
    field = _pale(rng) * (1 - share) + _pale(rng) * share
    for _ in range(int(rng.integers(0, 4))):
        y, x = rng.integers(0, height), rng.integers(0, width)
        field[y : y + height // 3, x : x + width // 4] = _pale(rng)
    return _bytes(field)


def _cloth(easel: _Easel) -> Pixels:
    """Plain, striped or checked cloth over the whole picture, to be cut out by a shape."""
    height, width = easel.image.shape[:2]
    rng = easel.rng
    colour, other, period = _hue(rng, (110, 256), (50, 200)), _hue(rng, (60, 256), (50, 230)), rng.uniform(5, 14)
    kind = int(rng.integers(5))
    rows, columns = np.mgrid[0:height, 0:width]
    across = (rows // period).astype(int) % 2
    along = (columns // period).astype(int) % 2
    share = {3: across, 4: across ^ along}.get(kind, np.zeros_like(across)) * 0.3
    return _bytes(colour + (other - colour) * share[:, :, None])


def _body(easel: _Easel, skin: Pixels, spread: float) -> None:
    easel.mirrored([(0.01, HIP), (0.085, HIP), (0.06, 0.72), (0.045, 0.95), (0.015, 0.95)], skin)
    easel.mirrored([(0.012, 0.945), (0.05, 0.945), (0.062, FLOOR), (0.012, FLOOR)], easel.plain((40, 35, 35)))
    easel.mirrored(_limb(spread, 0.0, 1.12, 0.026, 0.018), skin)


def _limb(spread: float, start: float, end: float, wide: float, narrow: float) -> Points:
    """A strip along the right arm from `start` to `end`, both as shares of the way to the wrist."""
    direction = np.array([np.sin(spread), np.cos(spread)])
    side = np.array([direction[1], -direction[0]])
    shoulder = np.array([0.098, SHOULDER + 0.012])
    near, far = shoulder + direction * ARM * start, shoulder + direction * ARM * end
    corners = (near + side * wide, far + side * narrow, far - side * narrow, near - side * wide)
    return [(float(x), float(y)) for x, y in corners]


def _skirt(easel: _Easel, look: Look, cloth: Pixels) -> None:
    hem = WAIST + (FLOOR - WAIST) * look.skirt
    flare = 0.1 + look.skirt * float(easel.rng.uniform(0.0, 0.12))
    easel.fill([(-0.07, WAIST), (0.07, WAIST), (0.1, HIP), (flare, hem), (-flare, hem), (-0.1, HIP)], cloth)


def _top(easel: _Easel, look: Look, cloth: Pixels, spread: float) -> None:
    if look.sleeve > 0:
        easel.mirrored(_limb(spread, -0.02, look.sleeve, 0.036, 0.027), cloth)
    half = [(0.0, SHOULDER), (0.035, 0.165), (0.11, SHOULDER), (0.095, 0.25), (0.072, WAIST), (0.078, WAIST + 0.02)]
    easel.fill(half + [(-x, y) for x, y in reversed(half)], cloth)


def _head(easel: _Easel, skin: Pixels) -> None:
    hair = easel.plain([int(v) for v in easel.rng.integers(10, 140, 3)])
    easel.fill(_oval(0, 0.068, 0.058, 0.066), hair)
    easel.fill([(-0.026, 0.1), (0.026, 0.1), (0.032, 0.185), (-0.032, 0.185)], skin)
    easel.fill(_oval(0, 0.078, 0.042, 0.055), skin)


def _oval(x: float, y: float, width: float, height: float) -> Points:
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return [(x + width * float(np.cos(t)), y + height * float(np.sin(t))) for t in turns]


def _no_collar(easel: _Easel, cloth: Pixels) -> None:
    """The class Invisible: there is no collar to see."""


def _shirt_collar(easel: _Easel, cloth: Pixels) -> None:
    easel.mirrored([(0.002, 0.192), (0.03, 0.152), (0.05, 0.17), (0.056, 0.228)], cloth)


def _peter_pan(easel: _Easel, cloth: Pixels) -> None:
    easel.mirrored(_oval(0.034, 0.188, 0.034, 0.021), cloth)


def _puritan(easel: _Easel, cloth: Pixels) -> None:
    easel.mirrored(_oval(0.052, 0.198, 0.054, 0.037), cloth)


def _rib(easel: _Easel, cloth: Pixels) -> None:
    easel.fill([(-0.037, 0.138), (0.037, 0.138), (0.042, 0.19), (-0.042, 0.19)], cloth)
    dark = (cloth // 2).astype(np.uint8)
    for x in np.linspace(-0.032, 0.032, 5):
        easel.fill([(x - 0.003, 0.138), (x + 0.003, 0.138), (x + 0.003, 0.19), (x - 0.003, 0.19)], dark)


COLLARS = (_no_collar, _shirt_collar, _peter_pan, _puritan, _rib)


def _scarf(easel: _Easel, veil: float, cloth: Pixels) -> None:
    """A loop of cloth that comes down from the chin over `veil` of the collar."""
    bottom = 0.135 + 0.115 * veil
    easel.fill([(-0.06, 0.128), (0.06, 0.128), (0.105 * veil + 0.03, bottom), (-0.105 * veil - 0.03, bottom)], cloth)

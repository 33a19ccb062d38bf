"""Draws scenes on water: boats, and what else stands around there, each with the box that it fills.

Places are pixels of the upright picture. A thing is drawn in units of its own: x to the right from its middle, y down
from its water line, 1 = its width. Every scene depends on its random generator alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.drawing import Pixels, Points

BOAT, CANOE, HOUSE, BIRD, LIGHTHOUSE = "Boat", "Canoe", "House", "Bird", "Lighthouse"
Box = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max."""
_SUBPIXELS = 4
_TRIES = 30


@dataclass(frozen=True)
class Thing:
    """One thing with its box in pixels, and what Open Images would say of it."""

    name: str
    box: Box
    occluded: bool = False
    truncated: bool = False
    group_of: bool = False
    depiction: bool = False


@dataclass
class Scene:
    """A picture being drawn: (height, width, 3) uint8 RGB, where the water begins, and the things so far."""

    pixels: Pixels
    horizon: float
    rng: np.random.Generator
    things: list[Thing] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def fill(self, points: NDArray[np.float64], colour: Sequence[int]) -> None:
        """Paints a polygon of (n, 2) pixels, with smooth edges."""
        corners = np.rint(points * (1 << _SUBPIXELS)).astype(np.int32)
        cv2.fillPoly(self.pixels, [corners], [int(c) for c in colour], cv2.LINE_AA, _SUBPIXELS)

    def draw(self, parts: Sequence[tuple[Points, Sequence[int]]], x: float, y: float, width: float) -> Box:
        """Draws polygons given in a thing's own units; returns the box of all, which may pass the picture's edge."""
        mirror = 1 if self.rng.random() < 0.5 else -1
        placed = [(np.asarray(p, float) * (mirror * width, width) + (x, y), colour) for p, colour in parts]
        for points, colour in placed:
            self.fill(points, colour)
        corners = np.concatenate([points for points, _ in placed])
        return (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())

    def note(self, name: str, box: Box, **flags: bool) -> None:
        """Takes down a thing, its box cut at the picture's edges."""
        width, height = self.size
        inside = (max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3]))
        self.things.append(Thing(name, inside, truncated=inside != box, **flags))


def scene(rng: np.random.Generator, boats: int, special: str = "") -> Scene:
    """Draws one scene.

    Args:
        rng: decides everything else.
        boats: how many sailing boats.
        special: "group" adds a fleet with one box around it, "depiction" a boat on a poster, "canoe" a canoe.
    """
    width, height = (int(rng.integers(180, 257)), int(rng.integers(150, 221)))
    if rng.random() < 0.3:
        width, height = height, width
    made = Scene(np.zeros((height, width, 3), np.uint8), height * rng.uniform(0.28, 0.42), rng)
    _paint_ground(made)
    if special in _SPECIAL:
        _SPECIAL[special](made)
    _shore(made)
    for _ in range(boats):
        _boat(made)
    noise = rng.normal(0.0, rng.uniform(1.0, 5.0), made.pixels.shape)
    made.pixels[:] = np.clip(made.pixels * rng.uniform(0.85, 1.1) + noise, 0, 255).astype(np.uint8)
    return made


def _paint_ground(made: Scene) -> None:
    """Sky above the horizon, waves below."""
    rng, (width, height) = made.rng, made.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    sky = np.array([150, 190, 235]) + rng.uniform(-30, 20, 3) + (y / height)[..., None] * 40
    depth = np.clip((y - made.horizon) / (height - made.horizon), 0, 1)
    waves = np.sin(x * rng.uniform(0.05, 0.2) + y * rng.uniform(0.5, 1.2)) * (3 + 8 * depth)
    sea = np.array([40, 95, 135]) + rng.uniform(-20, 20, 3) + waves[..., None] + depth[..., None] * 15
    made.pixels[:] = np.clip(np.where((y < made.horizon)[..., None], sky, sea), 0, 255).astype(np.uint8)


def _shore(made: Scene) -> None:
    """Houses and a lighthouse on the horizon, birds in the sky: none of them is a boat."""
    rng, (width, _) = made.rng, made.size
    for _ in range(int(rng.integers(0, 3))):
        size = rng.uniform(0.08, 0.16) * width
        box = made.draw(_house(rng), rng.uniform(0.1, 0.9) * width, made.horizon, size)
        made.note(HOUSE, box)
    if rng.random() < 0.25:
        box = made.draw(_LIGHTHOUSE, rng.uniform(0.1, 0.9) * width, made.horizon, rng.uniform(0.06, 0.1) * width)
        made.note(LIGHTHOUSE, box)
    for _ in range(int(rng.integers(0, 3))):
        y = rng.uniform(0.15, 0.6) * made.horizon
        made.note(BIRD, made.draw(_BIRD, rng.uniform(0.1, 0.9) * width, y, rng.uniform(0.05, 0.1) * width))


def _boat(made: Scene) -> None:
    """One boat on free water, now and then partly behind a rock or the picture's edge."""
    rng, (width, _) = made.rng, made.size
    truncated = rng.random() < 0.1
    for _ in range(_TRIES):
        size = rng.uniform(0.2, 0.45) * min(made.size)
        x = rng.choice([0.0, 1.0]) * width if truncated else rng.uniform(size / 2, width - size / 2)
        y = _water_line(made, size)
        if not any(_touch((x - size / 2, y - size, x + size / 2, y + size / 4), thing.box) for thing in _afloat(made)):
            box = made.draw(_sailing_boat(rng), x, y, size)
            occluded = rng.random() < 0.1
            if occluded:
                _rock(made, x + rng.uniform(-0.3, 0.3) * size, y + 0.2 * size, size)
            made.note(BOAT, box, occluded=occluded)
            return


def _canoe(made: Scene) -> None:
    size = made.rng.uniform(0.2, 0.35) * min(made.size)
    x, y = made.rng.uniform(0.2, 0.8) * made.size[0], _water_line(made, size)
    made.note(CANOE, made.draw(_CANOE, x, y, size))


def _fleet(made: Scene) -> None:
    """Many small boats side by side, one box around all: a group."""
    size = made.rng.uniform(0.1, 0.13) * min(made.size)
    x, y = made.rng.uniform(0.25, 0.45) * made.size[0], made.horizon + size * 0.6
    steps = range(int(made.rng.integers(6, 9)))
    found = np.array([made.draw(_sailing_boat(made.rng), x + step * size * 0.6, y, size) for step in steps])
    made.note(BOAT, (*found[:, :2].min(axis=0).tolist(), *found[:, 2:].max(axis=0).tolist()), group_of=True)


def _poster(made: Scene) -> None:
    """A boat that is only a drawing, on a pale board in the sky."""
    size = 0.28 * min(made.size)
    x, y = made.rng.uniform(0.25, 0.75) * made.size[0], made.horizon - 0.25 * size
    board = [(-0.65, -1.0), (0.65, -1.0), (0.65, 0.35), (-0.65, 0.35)]
    made.draw([(board, (238, 232, 214))], x, y, size)
    ink = [(points, (70, 60, 60)) for points, _ in _sailing_boat(made.rng)]
    made.note(BOAT, made.draw(ink, x, y, size), depiction=True)


_SPECIAL: dict[str, Callable[[Scene], None]] = {"group": _fleet, "depiction": _poster, "canoe": _canoe}


def _water_line(made: Scene, size: float) -> float:
    return float(made.rng.uniform(made.horizon + 0.35 * size, made.size[1] - 0.3 * size))


def _afloat(made: Scene) -> list[Thing]:
    return [thing for thing in made.things if thing.name in (BOAT, CANOE)]


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _rock(made: Scene, x: float, y: float, size: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radius = size * made.rng.uniform(0.16, 0.24, angles.size)
    points = np.stack([x + np.cos(angles) * radius * 1.3, y + np.sin(angles) * radius * 0.8], axis=1)
    made.fill(points, [int(v) for v in np.array([95, 90, 85]) + made.rng.integers(-15, 15)])


def _sailing_boat(rng: np.random.Generator) -> list[tuple[Points, Sequence[int]]]:
    hull = [int(v) for v in rng.permutation([int(rng.integers(110, 190)), 40, int(rng.integers(20, 70))])]
    sail = [int(v) for v in rng.integers(200, 256, 3)]
    jib = sail if rng.random() < 0.6 else [int(v) for v in rng.permutation([230, 120, 60])]
    tall = rng.uniform(0.75, 1.0)
    return [
        ([(-0.02, -tall), (0.02, -tall), (0.02, 0.05), (-0.02, 0.05)], (90, 70, 50)),
        ([(0.04, -0.95 * tall), (0.04, -0.06), (0.42, -0.06)], sail),
        ([(-0.04, -0.8 * tall), (-0.04, -0.06), (-0.34, -0.06)], jib),
        ([(-0.5, 0.0), (0.5, 0.0), (0.36, 0.2), (-0.38, 0.2)], hull),
    ]


def _house(rng: np.random.Generator) -> list[tuple[Points, Sequence[int]]]:
    wall = [int(v) for v in rng.integers(150, 240, 3)]
    return [
        ([(-0.5, -0.7), (0.5, -0.7), (0.5, 0.05), (-0.5, 0.05)], wall),
        ([(-0.6, -0.7), (0.6, -0.7), (0.0, -1.2)], (150, int(rng.integers(50, 90)), 50)),
        ([(-0.15, -0.45), (0.15, -0.45), (0.15, 0.05), (-0.15, 0.05)], (80, 60, 50)),
    ]


_LIGHTHOUSE: list[tuple[Points, Sequence[int]]] = [
    ([(-0.35, 0.05), (0.35, 0.05), (0.22, -2.2), (-0.22, -2.2)], (235, 235, 230)),
    ([(-0.31, -0.6), (0.31, -0.6), (0.27, -1.2), (-0.27, -1.2)], (190, 50, 45)),
    ([(-0.3, -2.2), (0.3, -2.2), (0.0, -2.7)], (170, 45, 40)),
]
_BIRD: list[tuple[Points, Sequence[int]]] = [
    ([(-0.5, -0.25), (0.0, 0.0), (0.0, 0.12), (-0.42, -0.12)], (50, 50, 55)),
    ([(0.5, -0.25), (0.0, 0.0), (0.0, 0.12), (0.42, -0.12)], (50, 50, 55)),
]
_CANOE: list[tuple[Points, Sequence[int]]] = [
    ([(-0.5, -0.14), (-0.36, 0.0), (0.36, 0.0), (0.5, -0.14), (0.34, 0.12), (-0.34, 0.12)], (170, 90, 35)),
    ([(-0.08, 0.02), (0.08, 0.02), (0.05, -0.22), (-0.05, -0.22)], (60, 80, 50)),
    ([(-0.05, -0.22), (0.05, -0.22), (0.05, -0.32), (-0.05, -0.32)], (224, 180, 150)),
]

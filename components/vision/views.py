"""The named views of a picture: the one list that training and test-time augmentation share.

A view is a deterministic function of the picture, the knobs and, for noise, the picture's key. Every view is a square
of uint8 RGB; the picture's aspect ratio is never changed, since the length of a sleeve is what is asked for.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from components.vision import faces


@dataclass(frozen=True)
class Knobs:
    """What the views can be told; their meaning and limits stand in preprocess' settings."""

    rotate_degrees: float = 10.0
    shift_share: float = 0.1
    scale_factor: float = 1.05
    noise_sigma: float = 20.0
    face_min_share: float = 0.1
    face_neighbours: int = 8
    face_columns: float = 3.0
    face_rows: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Area:
    """Where the picture lies inside its square, pixels; the rest is padding."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the picture, to index the square with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Square:
    """A picture padded to a square, and what a view may need besides.

    Attributes:
        pixels: (S, S, 3) uint8 RGB.
        area: the picture's own part of it.
        picture: (height, width, 3) uint8 RGB, the decoded picture before resizing.
        image_id: the picture's key; chooses its noise.
    """

    pixels: np.ndarray
    area: Area
    picture: np.ndarray
    image_id: str

    @property
    def size(self) -> int:
        """S."""
        return int(self.pixels.shape[0])


View = Callable[[Square, Knobs], np.ndarray]


def square(picture: np.ndarray, size: int, image_id: str = "") -> Square:
    """Resizes a picture so that its longer side is `size` and pads the other with black, the odd pixel at the end.

    Linear interpolation: after a k/8 decode it is closer to the original than storing at quality 90 is. Where a picture
    that could not be decoded smaller shrinks to less than half, every pixel is averaged, since linear would skip some.

    Args:
        picture: (height, width, 3) uint8 RGB, any size; smaller ones are enlarged.
        size: S, pixels.
        image_id: the picture's key.
    """
    height, width = picture.shape[:2]
    longer = max(height, width)
    new_height, new_width = (max(1, (side * size + longer // 2) // longer) for side in (height, width))
    area = Area((size - new_height) // 2, (size - new_width) // 2, new_height, new_width)
    pixels = np.zeros((size, size, 3), np.uint8)
    method = cv2.INTER_AREA if longer >= 2 * size else cv2.INTER_LINEAR
    pixels[area.slices] = cv2.resize(picture, (new_width, new_height), interpolation=method)
    return Square(pixels, area, picture, image_id)


def black(size: int, image_id: str) -> Square:
    """Stands in for a question whose picture cannot be decoded, so that it is still answered."""
    return square(np.zeros((1, 1, 3), np.uint8), size, image_id)


def plain(of: Square, knobs: Knobs) -> np.ndarray:
    """The padded picture itself."""
    return of.pixels


def flip(of: Square, knobs: Knobs) -> np.ndarray:
    """Left and right exchanged."""
    return cv2.flip(of.pixels, 1)


def equalise(of: Square, knobs: Knobs) -> np.ndarray:
    """Histogram of the luma flattened over the picture's own area; padding would take half the range for black."""
    out = of.pixels.copy()
    luma, *chroma = cv2.split(cv2.cvtColor(out[of.area.slices], cv2.COLOR_RGB2YCrCb))
    out[of.area.slices] = cv2.cvtColor(cv2.merge((cv2.equalizeHist(luma), *chroma)), cv2.COLOR_YCrCb2RGB)
    return out


def flip_equalise(of: Square, knobs: Knobs) -> np.ndarray:
    """The seed's view 2: the flipped picture, equalised."""
    return cv2.flip(equalise(of, knobs), 1)


def stretch(of: Square, knobs: Knobs) -> np.ndarray:
    """The 2nd to 98th percentile of all channels together become 0 to 255; percentiles without the padding."""
    own = np.ascontiguousarray(of.pixels[of.area.slices])
    counts = np.sum([cv2.calcHist([own], [channel], None, [256], [0, 256]) for channel in range(3)], axis=0).cumsum()
    low, high = np.searchsorted(counts, (0.02 * counts[-1], 0.98 * counts[-1]))
    values = np.arange(256.0)
    table = np.clip((values - low) * (255 / max(1, high - low)) + 0.5, 0, 255) if high > low else values
    return cv2.LUT(of.pixels, table.astype(np.uint8))  # black stays black: so does the padding


def rotate_left(of: Square, knobs: Knobs) -> np.ndarray:
    """Turned against the clock by `rotate_degrees` around the centre; black comes in at the corners."""
    return _turned(of, knobs.rotate_degrees, 1.0)


def rotate_right(of: Square, knobs: Knobs) -> np.ndarray:
    """Turned with the clock by `rotate_degrees`."""
    return _turned(of, -knobs.rotate_degrees, 1.0)


def shift(of: Square, knobs: Knobs) -> np.ndarray:
    """Moved down by `shift_share` of the picture's height; what leaves the square is lost."""
    rows = min(round(knobs.shift_share * of.area.height), of.size)
    out = np.zeros_like(of.pixels)
    out[rows:] = of.pixels[: of.size - rows]
    return out


def scale(of: Square, knobs: Knobs) -> np.ndarray:
    """Enlarged around the centre by `scale_factor`; below 1, made smaller."""
    return _turned(of, 0.0, knobs.scale_factor)


def noise(of: Square, knobs: Knobs) -> np.ndarray:
    """Gaussian noise of `noise_sigma` grey levels on the picture's area, the same for the same picture and seed.

    A slice of a fixed bank, chosen by the picture's key: drawing fresh noise would cost as much as all else together.
    """
    brighter, darker = _noise_bank(of.size, knobs.noise_sigma, knobs.seed)
    key = hashlib.blake2b(of.image_id.encode(), digest_size=8).digest()
    first = int.from_bytes(key, "big") % (len(brighter) - of.size)
    out, here = of.pixels.copy(), of.area.slices
    rows = slice(first, first + of.area.height)
    columns = here[1]
    out[here] = cv2.subtract(cv2.add(out[here], brighter[rows, columns]), darker[rows, columns])
    return out


def face(of: Square, knobs: Knobs) -> np.ndarray:
    """The crop around the chin, for collar, neck and neckline; the plain view where no face is found."""
    found = faces.find_face(of.picture, knobs.face_min_share, knobs.face_neighbours)
    if found is None:
        return of.pixels
    height, width = of.picture.shape[:2]
    left, top, width, height = faces.neck_crop(found, height, width, knobs.face_columns, knobs.face_rows)
    if width == 0 or height == 0:
        return of.pixels
    return square(of.picture[top : top + height, left : left + width], of.size).pixels


VIEWS: dict[str, View] = {
    "plain": plain,
    "flip": flip,
    "equalise": equalise,
    "flip_equalise": flip_equalise,
    "stretch": stretch,
    "rotate_left": rotate_left,
    "rotate_right": rotate_right,
    "shift": shift,
    "scale": scale,
    "noise": noise,
    "face": face,
}


def _turned(of: Square, degrees: float, factor: float) -> np.ndarray:
    middle = (of.size - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), degrees, factor)
    return cv2.warpAffine(of.pixels, matrix, (of.size, of.size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


@lru_cache(maxsize=2)
def _noise_bank(size: int, sigma: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What to add and what to subtract, each (8 size, size, 3) uint8."""
    bank = np.random.default_rng(seed).standard_normal((8 * size, size, 3), np.float32) * np.float32(sigma)
    bank = bank.round().clip(-255, 255)
    return np.maximum(bank, 0).astype(np.uint8), np.maximum(-bank, 0).astype(np.uint8)

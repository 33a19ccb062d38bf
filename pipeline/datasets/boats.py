"""Draws a small Open Images about boats, with the faults of the real one planted and counted in `quirks.json`.

Each fault hits a picture of its own, so whoever meets it can be told from whoever doesn't.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.datasets import dataset, encoding, harbour, openimages
from pipeline.datasets.harbour import BOAT, Box
from pipeline.datasets.openimages import Picture
from pipeline.errors import PipelineError

IMAGES = 320
SMALLEST = 60
SITES = ("https://c1.pictures.example", "https://c2.pictures.example")
QUIRKS = "quirks.json"
_BOATS, _SHARES = (1, 2, 3), (0.4, 0.4, 0.2)


@dataclass
class _Artist:
    """Draws picture after picture, and keeps book of what is odd about them."""

    seed: int
    sites: Sequence[str]
    rng: np.random.Generator
    pictures: list[Picture] = field(default_factory=list)
    book: dict[str, list[str]] = field(default_factory=dict)

    def scene(self, special: str = "", boats: int | None = None, quarter_turns: int = 0) -> Picture:
        """Draws a sound picture, stored so many quarter turns clockwise from upright."""
        count = int(self.rng.choice(_BOATS, p=_SHARES)) if boats is None else boats
        made = harbour.scene(self.rng, count, special)
        stored = np.ascontiguousarray(np.rot90(made.pixels, -quarter_turns))
        things = tuple(replace(t, box=clockwise(t.box, made.size, quarter_turns)) for t in made.things)
        height, width = stored.shape[:2]
        encoded = encoding.jpeg(stored, int(self.rng.integers(82, 95)))
        return Picture(*self._name(), encoded, width, height, things, f"{90.0 * quarter_turns}")

    def again(self, picture: Picture, encoded: bytes) -> Picture:
        """The picture published once more, perhaps in other bytes of the same size in pixels."""
        image_id, url = self._name()
        return replace(picture, image_id=image_id, url=url, encoded=encoded)

    def add(self, picture: Picture, quirk: str = "") -> Picture:
        """Takes a picture into the data set."""
        self.pictures.append(picture)
        if quirk:
            self.book.setdefault(quirk, []).append(picture.image_id)
        return picture

    def _name(self) -> tuple[str, str]:
        number = len(self.pictures)
        image_id = hashlib.md5(f"boats {self.seed} {number}".encode(), usedforsecurity=False).hexdigest()[:16]
        return image_id, f"{self.sites[number % len(self.sites)]}/{number // 100:04d}/{image_id}_o.jpg"


def draw(out: Path, seed: int = 0, images: int = IMAGES, sites: Sequence[str] = SITES) -> Path:
    """Draws the data set; the same arguments give the same bytes.

    Args:
        out: a folder that does not exist yet, or is empty.
        seed: 0 or more.
        images: pictures with boats, an eighth of them odd; some without a boat come on top.
        sites: the pictures' addresses begin with one of these.

    Returns:
        `out`, with the files of `openimages.write` and `quirks.json`.

    Raises:
        PipelineError: fewer than 60 images, a negative seed, or `out` is in use.
    """
    if images < SMALLEST or seed < 0:
        raise PipelineError(f"images={images}, seed={seed}: draw {SMALLEST} images or more, with a seed of 0 or more")
    dataset.write_whole(out, lambda folder: _fill(folder, seed, images, sites))
    return out


def clockwise(box: Box, size: tuple[int, int], quarter_turns: int) -> Box:
    """The box after its picture of `size` (width, height) has been turned."""
    (x_min, y_min, x_max, y_max), (width, height) = box, size
    if quarter_turns == 0:
        return box
    return clockwise((height - y_max, x_min, height - y_min, x_max), (height, width), quarter_turns - 1)


def _fill(folder: Path, seed: int, images: int, sites: Sequence[str]) -> None:
    artist = _Artist(seed, sites, np.random.default_rng(seed))
    for quirk, plant in _PLANTED.items():
        for _ in range(max(1, images // 160)):
            plant(artist, quirk)
    while len(artist.pictures) < images:
        artist.add(artist.scene())
    nowhere = _crooked_boxes(artist)
    for _ in range(images // 8):
        artist.add(artist.scene(boats=0), "without_boats")
    openimages.write(folder, artist.pictures, nowhere)
    body = {"counts": {name: len(ids) for name, ids in sorted(artist.book.items())}, "where": artist.book}
    (folder / QUIRKS).write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _turned(artist: _Artist, quirk: str) -> None:
    artist.add(artist.scene(quarter_turns=int(quirk.removeprefix("rotated_")) // 90), quirk)


def _special(artist: _Artist, quirk: str) -> None:
    artist.add(artist.scene(quirk, boats=1), quirk)


def _exif(artist: _Artist, quirk: str) -> None:
    """The camera's own note of orientation, which boxes do not follow: Rotation alone counts."""
    upright = artist.scene()
    artist.add(replace(upright, encoded=encoding.with_orientation(upright.encoded, 6)), quirk)


def _exact_duplicate(artist: _Artist, quirk: str) -> None:
    first = artist.add(artist.scene(), quirk)
    artist.add(artist.again(first, first.encoded), quirk)


def _near_duplicate(artist: _Artist, quirk: str) -> None:
    first = artist.add(artist.scene(), quirk)
    artist.add(artist.again(first, encoding.recompressed(first.encoded)), quirk)


def _truncated_file(artist: _Artist, quirk: str) -> None:
    """Size and MD5 are those of the broken file: the transfer finds nothing wrong with it."""
    whole = artist.scene()
    artist.add(replace(whole, encoded=whole.encoded[: len(whole.encoded) * 2 // 5]), quirk)


def _changed(**changes: object) -> Callable[[_Artist, str], None]:
    """A sound picture of which one published fact is wrong."""

    def plant(artist: _Artist, quirk: str) -> None:
        artist.add(replace(artist.scene(), **changes), quirk)  # type: ignore[arg-type]

    return plant


_PLANTED: dict[str, Callable[[_Artist, str], None]] = {
    "rotated_90": _turned,
    "rotated_180": _turned,
    "rotated_270": _turned,
    "group": _special,
    "depiction": _special,
    "canoe": _special,
    "exif_orientation": _exif,
    "exact_duplicates": _exact_duplicate,
    "near_duplicates": _near_duplicate,
    "truncated_file": _truncated_file,
    "wrong_size": _changed(size=4321),
    "wrong_md5": _changed(md5=openimages.md5_of(b"another picture")),
    "missing": _changed(is_there=False),
    "no_rotation": _changed(rotation=""),
    "not_listed": _changed(is_listed=False),
}


def _crooked_boxes(artist: _Artist) -> list[list[str]]:
    """Boxes beside sound ones that no reader may take: turned inside out, out of the picture, no numbers."""
    shares = (["0.6", "0.4", "0.1", "0.2"], ["0.1", "0.2", "0.5", "1.5"], ["0.1", "", "0.5", "0.6"])
    places = [picture.image_id for picture in artist.pictures[-len(shares) :]]
    artist.book["crooked_boxes"] = places
    return [openimages.box_row(place, BOAT, share) for place, share in zip(places, shares, strict=True)]

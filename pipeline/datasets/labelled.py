"""Labelled pictures of one attribute, dealt to rounds, a pool and questions, and written as the contest's folders."""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from struct import pack

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import dataset
from pipeline.datasets.dataset import DataSet
from pipeline.errors import PipelineError

ATTRIBUTE = "class_labels"  # one name for all that a recipe of own networks takes in turn
BASE, ROUND2 = "base", "round2"
Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Pictures:
    """Pictures with their classes.

    Attributes:
        part: `train` or `test`; goes into the files' names.
        labels: (count,) numbers of classes.
        files: numbers of pictures to (number, encoded bytes, suffix), in any order, each once.
    """

    part: str
    labels: Sequence[int] | NDArray[np.integer]
    files: Callable[[Sequence[int]], Iterable[tuple[int, bytes, str]]]


@dataclass(frozen=True)
class Sizes:
    """How many pictures each place gets, and the seed of the deal. Without a round 2 there is one round only."""

    round1: int
    round2: int
    pool: int
    questions: int
    seed: int


def arrays(part: str, pixels: Pixels, labels: NDArray[np.integer]) -> Pictures:
    """Pictures that are all in memory, written as PNG; pixels (count, height, width) grey or (..., 3) RGB."""
    return Pictures(part, labels, lambda which: ((int(i), png(pixels[i]), ".png") for i in which))


def cut(
    out: Path,
    name: str,
    attribute: str,
    classes: Sequence[str],
    train: Pictures,
    test: Pictures,
    sizes: Sizes,
    *,
    named: bool = True,
) -> DataSet:
    """Writes the data set `name`; the same arguments give the same bytes.

    Args:
        out: a folder that does not exist yet, or is empty.
        name: for `dataset.json`.
        attribute: what the classes are of.
        classes: their names.
        train: dealt to the rounds and the pool.
        test: its first pictures are the questions of the newest round.
        sizes: of the places.
        named: False where the source has no names for its classes, so that `classes` are mere numbers.

    Raises:
        PipelineError: there are fewer pictures than asked for.
    """
    told = asdict(sizes)
    if sizes.round1 + sizes.round2 + sizes.pool > len(train.labels) or sizes.questions > len(test.labels):
        have = f"{len(train.labels)} training and {len(test.labels)} test pictures"
        raise PipelineError(f"{told}: {name} has {have}; ask for less")
    if min(sizes.round1, sizes.questions) < 1 or min(told.values()) < 0:
        raise PipelineError(f"{told}: give round1 and the questions 1 or more, everything else 0 or more")
    dealt = np.split(
        np.random.default_rng(sizes.seed).permutation(len(train.labels)),
        np.cumsum([sizes.round1, sizes.round2, sizes.pool]),
    )
    writer = _Writer(attribute, len(classes))
    newest = ROUND2 if sizes.round2 else BASE

    def fill(folder: Path) -> None:
        writer.labelled(folder / BASE, train, dealt[0])
        if sizes.round2:
            writer.labelled(folder / ROUND2, train, dealt[1])
        if sizes.pool:
            writer.write(folder / newest / "Pool" / attribute, train, dealt[2])
        writer.questions(folder, newest, test, np.arange(sizes.questions))
        about = {"name": attribute, "classes": list(classes), "ordinal": False} | ({} if named else {"named": False})
        rounds = {"round1": BASE} | ({"round2": ROUND2} if sizes.round2 else {})
        dataset.write_about(folder, rounds, [about], {"dataset": name, **told})

    return dataset.whole_or_nothing(out, fill)


def png(picture: Pixels) -> bytes:
    """Encodes a small picture as PNG, bit-exact and independent of any image library's version.

    Args:
        picture: (height, width) grey or (height, width, 3) RGB, uint8.

    Returns:
        The file: one IDAT, no filter (its gain is nothing on 28 pixels), zlib level 6.
    """
    height, width = picture.shape[:2]
    flat = picture.reshape(height, -1)
    rows = np.zeros((height, flat.shape[1] + 1), dtype=np.uint8)
    rows[:, 1:] = flat
    colour = 2 if picture.ndim == 3 else 0
    header = pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(name: bytes, body: bytes) -> bytes:
    return pack(">I", len(body)) + name + body + pack(">I", zlib.crc32(name + body))


@dataclass(frozen=True)
class _Writer:
    attribute: str
    num_classes: int

    def labelled(self, folder: Path, pictures: Pictures, which: Numbers) -> None:
        names = self.write(folder / "Images" / self.attribute, pictures, which)
        rows = list(self._rows(names, pictures, which))
        dataset.write_rows(folder / "Annotations" / "label.csv", rows)

    def questions(self, folder: Path, newest: str, pictures: Pictures, which: Numbers) -> None:
        names = self.write(folder / newest / "Images" / self.attribute, pictures, which)
        rows = list(self._rows(names, pictures, which))
        asked = [(path, attribute, "") for path, attribute, _ in rows]
        dataset.write_rows(folder / newest / "Tests" / "question.csv", asked)
        dataset.write_rows(folder / "answers.csv", [(*row, "0") for row in rows])

    def write(self, folder: Path, pictures: Pictures, which: Numbers) -> list[str]:
        """Writes these pictures and returns their names, which tell nothing about the order of the source."""
        folder.mkdir(parents=True, exist_ok=True)
        names: dict[int, str] = {}
        for number, data, suffix in pictures.files([int(i) for i in which]):
            names[number] = _name(f"{pictures.part} {number}") + suffix
            (folder / names[number]).write_bytes(data)
        return [names[int(i)] for i in which]

    def _rows(self, names: list[str], pictures: Pictures, which: Numbers) -> Iterator[tuple[str, str, str]]:
        for name, i in zip(names, which, strict=True):
            letters = "".join("y" if k == pictures.labels[i] else "n" for k in range(self.num_classes))
            yield f"Images/{self.attribute}/{name}", self.attribute, letters


def _name(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

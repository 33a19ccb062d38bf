"""Cuts Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747; MIT) into rounds, an unlabelled pool and questions.

The 70,000 pictures come from Debian's package `dataset-fashion-mnist` as four gzipped IDX files. The 60,000 training
pictures are dealt, seeded, to round 1, round 2 and the pool; the 10,000 test pictures are the questions of round 2.
"""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from struct import pack

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import dataset
from pipeline.datasets.dataset import DataSet
from pipeline.errors import PipelineError

SOURCE = Path("/usr/share/datasets/fashion-mnist")
ATTRIBUTE = "garment_labels"
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_HOW = (
    "install Debian's package with `apt-get install dataset-fashion-mnist`, or without root: "
    "`apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb DIR` and give "
    "DIR/usr/share/datasets/fashion-mnist as the source"
)
_PIXELS_START, _LABELS_START = 16, 8

Pictures = NDArray[np.uint8]


def cut(
    out: Path,
    source: Path = SOURCE,
    *,
    round1: int = 25_000,
    round2: int = 25_000,
    pool: int = 10_000,
    questions: int = 10_000,
    seed: int = 0,
) -> DataSet:
    """Writes the cut as folders of PNG files; the same arguments give the same bytes.

    Args:
        out: a folder that does not exist yet, or is empty.
        source: folder with the four `*-ubyte.gz` files.
        round1: labelled pictures of round 1.
        round2: labelled pictures of round 2.
        pool: unlabelled pictures, in round 2's `Pool/`.
        questions: how many of the test pictures to ask, from the first on.
        seed: of the deal, 0 or more.

    Raises:
        PipelineError: the source is missing or damaged, or holds fewer pictures than asked for.
    """
    pictures, labels = _read(source, "train")
    test_pictures, test_labels = _read(source, "t10k")
    sizes = {"round1": round1, "round2": round2, "pool": pool, "questions": questions, "seed": seed}
    if min(round1, round2, questions) < 1 or pool < 0 or seed < 0:
        raise PipelineError(f"{sizes}: give each round and the questions 1 or more, pool and seed 0 or more")
    if round1 + round2 + pool > len(pictures) or questions > len(test_pictures):
        have = f"{len(pictures)} training and {len(test_pictures)} test pictures"
        raise PipelineError(f"{sizes}: {source} has {have}; ask for less")
    dealt = np.split(np.random.default_rng(seed).permutation(len(pictures)), np.cumsum([round1, round2, pool]))

    def fill(folder: Path) -> None:
        _labelled(folder / "base", pictures, labels, dealt[0])
        _labelled(folder / "round2", pictures, labels, dealt[1])
        _write_pictures(folder / "round2" / "Pool" / ATTRIBUTE, "train", pictures, dealt[2])
        _questions(folder, test_pictures[:questions], test_labels[:questions])
        about = {"name": ATTRIBUTE, "classes": list(CLASSES), "ordinal": False}
        made_by = {"dataset": "fashion_mnist", **sizes}
        dataset.write_about(folder, {"round1": "base", "round2": "round2"}, [about], made_by)

    return dataset.whole_or_nothing(out, fill)


def png(picture: Pictures) -> bytes:
    """Encodes a small grey picture as PNG, bit-exact and independent of any image library's version.

    Args:
        picture: (height, width) uint8.

    Returns:
        The file: one IDAT, no filter (its gain is nothing on 28 pixels), zlib level 6.
    """
    height, width = picture.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)
    rows[:, 1:] = picture
    header = pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(name: bytes, body: bytes) -> bytes:
    return pack(">I", len(body)) + name + body + pack(">I", zlib.crc32(name + body))


def _read(source: Path, part: str) -> tuple[Pictures, Pictures]:
    """(count, height, width) uint8 pictures and (count,) uint8 labels of one part, `train` or `t10k`."""
    pixels = _unpacked(source / f"{part}-images-idx3-ubyte.gz", b"\0\0\x08\x03")
    labels = _unpacked(source / f"{part}-labels-idx1-ubyte.gz", b"\0\0\x08\x01")
    shape = [int.from_bytes(pixels[at : at + 4], "big") for at in (4, 8, 12)]
    count = int.from_bytes(labels[4:8], "big")
    if len(pixels) != _PIXELS_START + int(np.prod(shape)) or len(labels) != _LABELS_START + count or count != shape[0]:
        raise PipelineError(f"{source} is damaged: {part} announces {shape[0]} pictures, {count} labels; {_HOW}")
    kinds = np.frombuffer(labels, dtype=np.uint8, offset=_LABELS_START)
    if kinds.size and kinds.max() >= len(CLASSES):
        raise PipelineError(f"{source} is not Fashion-MNIST: label {kinds.max()}, expected 0 to 9; {_HOW}")
    return np.frombuffer(pixels, dtype=np.uint8, offset=_PIXELS_START).reshape(shape), kinds


def _unpacked(path: Path, magic: bytes) -> bytes:
    try:
        body = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise PipelineError(f"{path} does not exist; {_HOW}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise PipelineError(f"{path} cannot be read ({error}); {_HOW}") from error
    if not body.startswith(magic):
        raise PipelineError(f"{path} is not an IDX file of bytes, it begins with {body[:4].hex()}; {_HOW}")
    return body


def _labelled(folder: Path, pictures: Pictures, labels: Pictures, which: NDArray[np.int64]) -> None:
    names = _write_pictures(folder / "Images" / ATTRIBUTE, "train", pictures, which)
    rows = [(f"Images/{ATTRIBUTE}/{n}", ATTRIBUTE, _letters(labels[i])) for n, i in zip(names, which, strict=True)]
    dataset.write_rows(folder / "Annotations" / "label.csv", rows)


def _questions(folder: Path, pictures: Pictures, labels: Pictures) -> None:
    names = _write_pictures(folder / "round2" / "Images" / ATTRIBUTE, "test", pictures, range(len(pictures)))
    paths = [f"Images/{ATTRIBUTE}/{name}" for name in names]
    dataset.write_rows(folder / "round2" / "Tests" / "question.csv", [(p, ATTRIBUTE, "") for p in paths])
    answers = [(p, ATTRIBUTE, _letters(label), "0") for p, label in zip(paths, labels, strict=True)]
    dataset.write_rows(folder / "answers.csv", answers)


def _letters(label: int) -> str:
    return "".join("y" if i == label else "n" for i in range(len(CLASSES)))


def _write_pictures(folder: Path, part: str, pictures: Pictures, which: Sequence[int] | NDArray[np.int64]) -> list[str]:
    """Writes `pictures[i]` for every i and returns their names, which tell nothing about the order of the source."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [hashlib.md5(f"{part} {int(i)}".encode(), usedforsecurity=False).hexdigest() + ".png" for i in which]
    for name, i in zip(names, which, strict=True):
        (folder / name).write_bytes(png(pictures[i]))
    return names

"""Reads IDX files (LeCun's format of the MNIST family), plain or gzipped, and cuts such a data set into rounds."""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import labelled, sources
from pipeline.datasets.dataset import DataSet
from pipeline.errors import PipelineError

PARTS = {"train": "train", "test": "t10k"}
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
# MD5 of Fashion-MNIST's test labels: it is known wherever it lies, and no other set of ten classes gets its names.
FASHION_TEST = "8dea97a4e78c1bd1b5a6e8efbb870b6e"
_BYTES = 8  # the code of unsigned bytes, the only type that pictures and classes come in
_GZIP = b"\x1f\x8b"

Labels = NDArray[np.uint8]


def cut(
    out: Path, source: str = "", *, round1: int = 0, round2: int = 0, pool: int = 0, questions: int = 0, seed: int = 0
) -> DataSet:
    """Writes a data set of the MNIST family as folders of PNG files; the same arguments give the same bytes.

    Args:
        out: a folder that does not exist yet, or is empty.
        source: folder with `{train,t10k}-{images-idx3,labels-idx1}-ubyte`, gzipped or not, also spelt
            `train-images.idx3-ubyte`; or a name of `sources.IDX`, which is downloaded; empty: `fashion_mnist`, from its
            Debian package if that is installed.
        round1: labelled pictures of round 1; 0: all that round 2 and the pool leave.
        round2: of round 2; 0: there is one round.
        pool: unlabelled pictures.
        questions: how many of the test pictures to ask, from the first on; 0: all.
        seed: of the deal, 0 or more.

    Raises:
        PipelineError: the source is missing or damaged, or holds fewer pictures than asked for.
    """
    folder = sources.idx_folder(source, out.parent / sources.DOWNLOADS)
    found = {name: read_part(folder, part) for name, part in PARTS.items()}
    first, classes = _classes(folder, found["train"][1], found["test"][1])
    train, test = (labelled.arrays(name, pixels, labels - first) for name, (pixels, labels) in found.items())
    sizes = labelled.Sizes(
        round1 or len(train.labels) - round2 - pool, round2, pool, questions or len(test.labels), seed
    )
    return labelled.cut(out, "idx", labelled.ATTRIBUTE, classes, train, test, sizes, named=tuple(classes) == FASHION)


def read_part(folder: Path, part: str) -> tuple[NDArray[np.uint8], Labels]:
    """(count, height, width) pictures and (count,) classes of one part, `train` or `t10k`.

    Raises:
        PipelineError: a file is missing or damaged, or the two files do not fit each other.
    """
    pictures, labels = (
        read(_either(folder, f"{part}-{kind}-ubyte"), number)
        for kind, number in (("images-idx3", 3), ("labels-idx1", 1))
    )
    if len(pictures) != len(labels):
        raise PipelineError(f"{folder} is damaged: {part} announces {len(pictures)} pictures, {len(labels)} labels")
    if not pictures.size:
        height, width = pictures.shape[1:]
        raise PipelineError(
            f"{folder}: {part} has {len(labels)} pictures of {width} x {height} px; give one with pictures"
        )
    return pictures, labels


def _classes(folder: Path, train: Labels, test: Labels) -> tuple[int, Sequence[str]]:
    """The label that counts as class 0, and the names of all classes: Fashion-MNIST's own, else the labels' numbers.

    Some sets of the family (EMNIST's letters) count from 1.
    """
    found = np.unique(train)
    first, last = int(found[0]), int(found[-1])
    if len(found) < 2:
        raise PipelineError(
            f"{folder}: all pictures to learn from have the label {first}; expected two classes or more"
        )
    absent = sorted({*range(min(first, 1), last + 1)} - {*found.tolist()})
    if absent:
        told = f"the largest label to learn from is {last}, but no picture has {absent[0]}"
        raise PipelineError(f"{folder} is damaged: {told}; expected every label from 0 or 1 to the largest")
    strange = sorted({*test.tolist()} - {*found.tolist()})
    if strange:
        raise PipelineError(
            f"{folder} is damaged: a test picture has the label {strange[0]}, none to learn from has it"
        )
    return first, FASHION if digest(test) == FASHION_TEST else [str(number) for number in found]


def digest(labels: Labels) -> str:
    """What FASHION_TEST is of the test labels."""
    return hashlib.md5(labels.tobytes(), usedforsecurity=False).hexdigest()


def read(path: Path, num_dimensions: int) -> NDArray[np.uint8]:
    """The array of one IDX file of bytes.

    Raises:
        PipelineError: no such file, or not a whole IDX file of bytes with so many dimensions.
    """
    body = _unpacked(path)
    if body[:4] != bytes([0, 0, _BYTES, num_dimensions]):
        wanted = f"an IDX file of bytes with {num_dimensions} dimension(s)"
        raise PipelineError(f"{path} is not {wanted}, it begins with {body[:4].hex()}")
    start = 4 + 4 * num_dimensions
    shape = [int.from_bytes(body[at : at + 4], "big") for at in range(4, start, 4)]
    if len(body) != start + int(np.prod(shape, dtype=np.int64)):
        raise PipelineError(f"{path} is damaged: it announces {shape}, and has {len(body) - start} bytes of them")
    return np.frombuffer(body, np.uint8, offset=start).reshape(shape)


def _either(folder: Path, name: str) -> Path:
    """The file of a name, gzipped or not; programs that unpack archives often spell it `train-images.idx3-ubyte`."""
    spelt = (name, name.replace("-idx", ".idx"))
    found = [folder / f"{one}{packed}" for one in spelt for packed in (".gz", "")]
    return next((path for path in found if path.is_file()), found[0])


def _unpacked(path: Path) -> bytes:
    try:
        body = path.read_bytes()
        return gzip.decompress(body) if body.startswith(_GZIP) else body
    except FileNotFoundError as error:
        raise PipelineError(f"{path} does not exist") from error
    except (OSError, EOFError, zlib.error) as error:
        raise PipelineError(f"{path} cannot be read ({error})") from error

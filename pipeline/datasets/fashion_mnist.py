"""Cuts Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747; MIT) into rounds, an unlabelled pool and questions.

The 70,000 pictures come from Debian's package `dataset-fashion-mnist` as four gzipped IDX files. The 60,000 training
pictures are dealt, seeded, to round 1, round 2 and the pool; the 10,000 test pictures are the questions of round 2.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import idx, labelled, sources
from pipeline.datasets.dataset import DataSet
from pipeline.errors import PipelineError

SOURCE = sources.FASHION_MNIST
ATTRIBUTE = "garment_labels"
_HOW = (
    "install Debian's package with `apt-get install dataset-fashion-mnist`, or without root: "
    "`apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb DIR` and give "
    "DIR/usr/share/datasets/fashion-mnist as the source"
)


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
    train, test = (labelled.arrays(name, *_read(source, part)) for name, part in (("train", "train"), ("test", "t10k")))
    sizes = labelled.Sizes(round1, round2, pool, questions, seed)
    if round2 < 1:
        raise PipelineError(f"{sizes}: give each round 1 or more, or take the data set idx, which has one round")
    return labelled.cut(out, "fashion_mnist", ATTRIBUTE, idx.FASHION, train, test, sizes)


def _read(source: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(count, height, width) uint8 pictures and (count,) uint8 labels of one part, `train` or `t10k`."""
    try:
        pictures, kinds = idx.read_part(source, part)
    except PipelineError as error:
        raise PipelineError(f"{error}; {_HOW}") from error
    if kinds.size and kinds.max() >= len(idx.FASHION):
        raise PipelineError(f"{source} is not Fashion-MNIST: label {kinds.max()}, expected 0 to 9; {_HOW}")
    return pictures, kinds

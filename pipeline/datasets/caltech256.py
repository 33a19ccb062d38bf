"""Cuts Caltech-256 (Griffin, Holub, Perona 2007) into rounds: folders `NNN.name`, the last of them clutter.

The set has no test pictures of its own: of every class the same share is dealt, seeded, to the questions.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from pipeline.datasets import archives, labelled, sources
from pipeline.datasets.dataset import DataSet
from pipeline.errors import PipelineError

CLUTTER = "clutter"
QUESTIONS = 0.2
_FOLDER = re.compile(r"(\d{3})\.(.+)")
_SUFFIXES = (".jpg", ".jpeg", ".png")


def cut(
    out: Path,
    source: str = "",
    *,
    clutter: bool = False,
    round1: int = 0,
    round2: int = 0,
    pool: int = 0,
    questions: int = 0,
    seed: int = 0,
) -> DataSet:
    """Writes the pictures, unchanged, into folders of rounds; the same arguments give the same bytes.

    Args:
        out: a folder that does not exist yet, or is empty.
        source: `256_ObjectCategories.tar`, or a folder that holds `NNN.name` folders; or an address with `#md5=HEX`;
            empty: downloaded from its authors.
        clutter: whether the folder of clutter, pictures of nothing in particular, is a class like the others.
        round1: labelled pictures of round 1; 0: all that the questions, round 2 and the pool leave.
        round2: of round 2; 0: there is one round.
        pool: unlabelled pictures.
        questions: pictures to ask; 0: a fifth of all.
        seed: of the deal, 0 or more.

    Raises:
        PipelineError: the source is missing or has no such folders, or holds fewer pictures than asked for.
    """
    where = sources.archive(source, sources.CALTECH256, out.parent / sources.DOWNLOADS)
    by_class = _classes(where, clutter)
    counts = [len(files) for files in by_class.values()]
    wanted = questions or round(QUESTIONS * sum(counts))
    asked = _dealt(counts, min(wanted, sum(counts)), seed)
    train, test = (_pictures(where, part, by_class, chosen) for part, chosen in (("train", ~asked), ("test", asked)))
    sizes = labelled.Sizes(round1 or len(train.labels) - round2 - pool, round2, pool, wanted, seed)
    return labelled.cut(out, "caltech256", labelled.ATTRIBUTE, list(by_class), train, test, sizes)


def _classes(source: Path, clutter: bool) -> dict[str, list[str]]:
    """Class name to names of its pictures, classes by number, pictures sorted."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in archives.names(source):
        path = PurePosixPath(name)
        match = _FOLDER.fullmatch(path.parent.name)
        if match and _is_picture(path) and (clutter or match[2] != CLUTTER):
            found.setdefault((match[1], match[2]), []).append(name)
    if len(found) < 2:
        raise PipelineError(
            f"{source} has {len(found)} folders NNN.name with pictures; expected Caltech-256, for instance 001.ak47/"
        )
    twice = [name for name, count in Counter(name for _, name in found).items() if count > 1]
    if twice:
        raise PipelineError(f"{source} has {twice[0]!r} under two numbers; a class is one folder NNN.name")
    return {name: files for (_, name), files in sorted(found.items())}


def _is_picture(path: PurePosixPath) -> bool:
    """`._x.jpg` is what a Mac packs beside `x.jpg`."""
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def _dealt(counts: Sequence[int], wanted: int, seed: int) -> np.ndarray:
    """(pictures,) bool in the order of classes and pictures: which are asked, of every class the same share.

    Args:
        counts: pictures of each class.
        wanted: how many are asked; what rounding down leaves goes to the classes that lost most by it.
        seed: of the choice within a class.
    """
    rng = np.random.default_rng([seed, 1])
    shares, lost = np.divmod(np.array(counts) * wanted, sum(counts))
    shares[np.argsort(-lost, kind="stable")[: wanted - shares.sum()]] += 1
    parts = []
    for count, share in zip(counts, shares, strict=True):
        chosen = np.zeros(count, bool)
        chosen[rng.permutation(count)[:share]] = True
        parts.append(chosen)
    return np.concatenate(parts)


def _pictures(source: Path, part: str, by_class: dict[str, list[str]], chosen: np.ndarray) -> labelled.Pictures:
    every = [(name, label) for label, files in enumerate(by_class.values()) for name in files]
    # Shuffled: the first questions shall not all be of one class.
    order = np.random.default_rng(0).permutation(np.flatnonzero(chosen))
    files = [every[i][0] for i in order]

    def read(which: Sequence[int]) -> Iterator[tuple[int, bytes, str]]:
        numbers = {files[i]: i for i in which}
        for name, data in archives.contents(source, set(numbers)):
            yield numbers[name], data, PurePosixPath(name).suffix.lower()

    return labelled.Pictures(part, [every[i][1] for i in order], read)

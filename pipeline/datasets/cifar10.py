"""Reads CIFAR-10 (Krizhevsky 2009) in both forms it is delivered in, and cuts it into rounds.

The Python form is a pickle made by Python 2. It is read with an unpickler that knows three names of numpy and gives
plain stand-ins for them, so that a foreign file can run nothing. The binary form is records of one class and 3 x 1024
bytes. Both hold 5 training batches and a test batch of 10,000 pictures of 32 x 32 pixels each.
"""

import io
import pickle
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import archives, labelled, sources
from pipeline.datasets.dataset import DataSet
from pipeline.errors import PipelineError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
_PIXELS = 3 * SIDE * SIDE
_OTHER_FORM = (EOFError, LookupError, AttributeError, TypeError, ValueError, OverflowError, MemoryError)

Batch = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def cut(
    out: Path, source: str = "", *, round1: int = 0, round2: int = 0, pool: int = 0, questions: int = 0, seed: int = 0
) -> DataSet:
    """Writes CIFAR-10 as folders of PNG files; the same arguments give the same bytes, whatever the form.

    Args:
        out: a folder that does not exist yet, or is empty.
        source: `cifar-10-python.tar.gz`, `cifar-10-binary.tar.gz`, or a folder with what is in one of them; or an
            address with `#md5=HEX`; empty: the binary form is downloaded from its authors.
        round1: labelled pictures of round 1; 0: all that round 2 and the pool leave.
        round2: of round 2; 0: there is one round.
        pool: unlabelled pictures.
        questions: how many of the test pictures to ask, from the first on; 0: all.
        seed: of the deal, 0 or more.

    Raises:
        PipelineError: the source is missing or damaged, or holds fewer pictures than asked for.
    """
    where = sources.archive(source, sources.CIFAR10, out.parent / sources.DOWNLOADS)
    found = read(where)
    train, test = (labelled.arrays(part, *found[part]) for part in ("train", "test"))
    sizes = labelled.Sizes(
        round1 or len(train.labels) - round2 - pool, round2, pool, questions or len(test.labels), seed
    )
    return labelled.cut(out, "cifar10", labelled.ATTRIBUTE, CLASSES, train, test, sizes)


def read(source: Path) -> dict[str, Batch]:
    """`train` and `test`: (count, 32, 32, 3) RGB pictures and (count,) classes.

    Raises:
        PipelineError: a batch is missing or damaged.
    """
    wanted = {
        PurePosixPath(name).stem: name
        for name in archives.names(source)
        if PurePosixPath(name).name.removesuffix(".bin") in (*_BATCHES["train"], *_BATCHES["test"])
    }
    missing = [batch for part in _BATCHES.values() for batch in part if batch not in wanted]
    if missing:
        raise PipelineError(f"{source} has no {missing[0]}; expected the batches of CIFAR-10, as pickles or .bin files")
    data = dict(archives.contents(source, set(wanted.values())))
    read_batch: dict[str, Callable[[bytes, str], Batch]] = {".bin": _binary, "": _pickled}
    batches = {b: read_batch[PurePosixPath(n).suffix](data[n], f"{source}: {n}") for b, n in wanted.items()}
    return {part: _joined([batches[name] for name in names]) for part, names in _BATCHES.items()}


def _joined(batches: list[Batch]) -> Batch:
    """Planes to pixels: every row holds all red values, then green, then blue, each row by row."""
    rows = np.concatenate([batch[0] for batch in batches])
    pixels = np.ascontiguousarray(rows.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))
    return pixels, np.concatenate([batch[1] for batch in batches])


def _binary(data: bytes, name: str) -> Batch:
    if not data or len(data) % (1 + _PIXELS):
        raise PipelineError(f"{name} is damaged: {len(data)} bytes are no whole records of {1 + _PIXELS}")
    records = np.frombuffer(data, np.uint8).reshape(-1, 1 + _PIXELS)
    return records[:, 1:], _checked(records[:, 0], name)


def _pickled(data: bytes, name: str) -> Batch:
    try:
        body = _Unpickler(data).load()
        rows, labels = body[b"data"].array(), np.array(body[b"labels"], np.int64)
    except (pickle.UnpicklingError, *_OTHER_FORM) as error:
        raise PipelineError(
            f"{name} is no batch of CIFAR-10 ({error!r}); expected a dict of data and labels"
        ) from error
    if labels.ndim != 1 or rows.shape != (len(labels), _PIXELS):
        raise PipelineError(f"{name} is damaged: data of shape {rows.shape} for labels of shape {labels.shape}")
    return rows, _checked(labels, name)


def _checked(labels: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if not len(labels) or labels.min() < 0 or labels.max() >= len(CLASSES):
        raise PipelineError(f"{name} is not CIFAR-10: it has classes other than 0 to {len(CLASSES) - 1}")
    return labels.astype(np.uint8)


class _StandIn:
    """What a pickle says about a numpy object: the arguments that it is made with and the state that it is given."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> NDArray[np.uint8]:
        """The array of bytes that this stands for. Raises ValueError, or what a state of another form raises."""
        _, shape, kind, in_columns, data = self.state
        if kind.arguments[0] not in (b"u1", "u1"):
            raise ValueError(f"an array of {kind.arguments[0]!r}, expected unsigned bytes")
        return np.frombuffer(data, np.uint8).reshape(shape, order="F" if in_columns else "C")


class _Unpickler(pickle.Unpickler):
    _KNOWN = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a batch")
        return _StandIn

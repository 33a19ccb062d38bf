"""Darknet's weight files, read and written bit for bit.

A header (int32 major, minor, revision; then how many pictures were seen, int32 before version 0.2 and uint64 since),
then for each convolution in order, as little-endian float32: with batch normalisation its biases, scales, rolling means
and rolling variances, else its biases; then the kernel as (filters, channels, height, width). A file may hold the first
convolutions only: `darknet53.conv.74` has the 52 of the first 75 layers.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from components.errors import Damaged, DataError

Convolution = Mapping[str, np.ndarray]
"""Arrays of one convolution: `kernel` (height, width, channels, filters) as Keras has it, and (filters,) vectors
`biases`, and with normalisation `scales`, `means`, `variances`."""


@dataclass(frozen=True)
class Header:
    """Version of the format and the number of training pictures seen."""

    major: int = 0
    minor: int = 2
    revision: int = 0
    seen: int = 0

    @property
    def layout(self) -> str:
        """Of the whole header, for struct."""
        # From 1000 on a number marks a file of the first days, whose count is short, too.
        new = self.major * 10 + self.minor >= 2 and max(self.major, self.minor) < 1000
        return "<iiiQ" if new else "<iiii"

    def pack(self) -> bytes:
        """The bytes of the header."""
        return struct.pack(self.layout, self.major, self.minor, self.revision, self.seen)

    @staticmethod
    def unpack(data: bytes, where: str) -> "Header":
        """The header that a file begins with."""
        try:
            version = Header(*struct.unpack_from("<iii", data))
            return Header(*struct.unpack_from(version.layout, data))
        except struct.error as error:
            raise Damaged(
                f"{where} has {len(data)} bytes; expected a darknet weights file, which has a header"
            ) from error


@dataclass(frozen=True)
class Shape:
    """What a convolution needs: number of filters, channels it reads, side of its kernel, normalised or not."""

    filters: int
    channels: int
    size: int
    normalised: bool

    @property
    def vectors(self) -> tuple[str, ...]:
        """Names of its vectors in the order of the file."""
        return ("biases", "scales", "means", "variances") if self.normalised else ("biases",)

    @property
    def numbers(self) -> int:
        """How many numbers it has in the file."""
        return self.filters * (len(self.vectors) + self.channels * self.size**2)


def read(data: bytes, shapes: Sequence[Shape], where: str) -> tuple[Header, list[Convolution]]:
    """The header and the first convolutions of a network, as many as the file holds.

    Raises:
        Damaged: no whole number of values, or no header.
        DataError: the file ends within a convolution or after the network's last: it is another network's.
    """
    header = Header.unpack(data, where)
    values = _values(data[struct.calcsize(header.layout) :], where)
    found: list[Convolution] = []
    at = 0
    while len(found) < len(shapes) and at + shapes[len(found)].numbers <= len(values):
        shape = shapes[len(found)]
        found.append(_convolution(values[at : at + shape.numbers], shape))
        at += shape.numbers
    if at < len(values):
        raise DataError(
            f"{where} has {len(values):,} numbers; the first {len(found)} of this network's {len(shapes)} convolutions "
            f"have {at:,}: the file is of another network or other classes; give one made for this configuration, or "
            "cut it after the backbone (`darknet partial`)"
        )
    return header, found


def write(header: Header, convolutions: Sequence[Convolution]) -> bytes:
    """The bytes of a file."""
    return b"".join([header.pack(), *map(_bytes, convolutions)])


def _values(body: bytes, where: str) -> np.ndarray:
    if len(body) % 4:
        raise Damaged(f"{where} is cut: after its header it has {len(body)} bytes, no whole number of float32")
    return np.frombuffer(body, "<f4")


def _convolution(values: np.ndarray, shape: Shape) -> Convolution:
    names = shape.vectors
    vectors = values[: len(names) * shape.filters].reshape(len(names), shape.filters)
    kernel = values[len(names) * shape.filters :].reshape(shape.filters, shape.channels, shape.size, shape.size)
    return {**dict(zip(names, vectors, strict=True)), "kernel": kernel.transpose(2, 3, 1, 0)}


def _bytes(convolution: Convolution) -> bytes:
    order = [name for name in ("biases", "scales", "means", "variances") if name in convolution]
    vectors = [convolution[name].astype("<f4").tobytes() for name in order]
    return b"".join([*vectors, convolution["kernel"].transpose(3, 2, 0, 1).astype("<f4").tobytes()])

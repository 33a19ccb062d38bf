"""Darknet's weight files, bit for bit, against a reader of the format written on its own here."""

import struct

import numpy as np
import pytest

from components.errors import Damaged, DataError
from components.vision.detection import cfg, network, networks, weights

SMALL = """
[net]
width=32
height=32
[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,1
anchors=8,8, 16,16
classes=2
num=2
"""


@pytest.fixture(scope="module")
def small() -> network.Network:
    return network.build(cfg.parse(SMALL), seed=3)


def file_for(shapes: list[weights.Shape], header: bytes, seed: int = 0) -> bytes:
    """A file of random bits: every float32 there is, NaNs too."""
    numbers = sum(shape.numbers for shape in shapes)
    return header + np.random.default_rng(seed).bytes(4 * numbers)


def read_alone(data: bytes, header_bytes: int) -> list[dict[str, list]]:
    """The two convolutions of SMALL, number by number."""
    at = header_bytes

    def take(count: int) -> list[float]:
        nonlocal at
        at += 4 * count
        return list(struct.unpack(f"<{count}f", data[at - 4 * count : at]))

    first = {name: take(4) for name in ("biases", "scales", "means", "variances")} | {"kernel": take(4 * 3 * 3 * 3)}
    second = {"biases": take(14), "kernel": take(14 * 4)}
    assert at == len(data)
    return [first, second]


OLD, NEW = struct.pack("<iiii", 0, 1, 0, 77), struct.pack("<iiiQ", 0, 2, 5, 6_400_000_000)


@pytest.mark.parametrize(("header", "seen"), [(OLD, 77), (NEW, 6_400_000_000)])
def test_what_is_written_is_what_was_read_bit_for_bit(small, header, seen):
    data = file_for(small.shapes, header)
    found, convolutions = weights.read(data, small.shapes, "a file")
    assert found.seen == seen and weights.write(found, convolutions) == data


@pytest.mark.parametrize("header", [OLD, NEW])
def test_a_model_keeps_every_bit(small, header):
    data = file_for(small.shapes, header, seed=1)
    found, convolutions = weights.read(data, small.shapes, "a file")
    small.load(convolutions)
    assert weights.write(found, small.save()) == data


def test_each_number_is_where_an_independent_reader_finds_it(small):
    values = np.arange(sum(shape.numbers for shape in small.shapes), dtype="<f4")
    data = NEW + values.tobytes()
    expected = read_alone(data, len(NEW))
    _, found = weights.read(data, small.shapes, "a file")
    for own, other in zip(found, expected, strict=True):
        assert set(own) == set(other)
        for name in set(own) - {"kernel"}:
            assert own[name].tolist() == other[name]
        kernel = own["kernel"]
        size, _, channels, filters = kernel.shape
        flat = [
            kernel[y, x, c, f]
            for f in range(filters)
            for c in range(channels)
            for y in range(size)
            for x in range(size)
        ]
        assert flat == other["kernel"]


@pytest.mark.parametrize(
    ("name", "numbers", "file_bytes"),
    [
        pytest.param("full", 62_001_757, 248_007_048, marks=pytest.mark.slow),
        ("tiny", 8_858_734, 35_434_956),
    ],
)
def test_the_networks_have_the_size_of_the_published_files(name, numbers, file_bytes):
    shapes = network.build(networks.NETWORKS[name](), seed=0).shapes
    total = sum(shape.numbers for shape in shapes)
    assert total == numbers and 4 * total + len(NEW) == file_bytes
    if name == "full":
        assert 4 * sum(shape.numbers for shape in shapes[:52]) + len(NEW) == 162_482_580  # darknet53.conv.74


def test_the_first_layers_alone_leave_the_others_as_they_were(small):
    data = file_for(small.shapes[:1], NEW, seed=2)
    before = small.save()[1]["kernel"].copy()
    _, found = weights.read(data, small.shapes, "a backbone")
    assert len(found) == 1
    small.load(found)
    assert small.save()[0]["kernel"].tobytes() == np.ascontiguousarray(found[0]["kernel"]).tobytes()
    np.testing.assert_array_equal(small.save()[1]["kernel"], before)


def test_files_of_another_network_are_refused(small):
    data = file_for(small.shapes, NEW)
    for other in (data + bytes(8), data[:-8]):
        with pytest.raises(DataError, match="of another network"):
            weights.read(other, small.shapes, "yolov3.weights")


@pytest.mark.parametrize("data", [b"", b"short", NEW + b"abc"])
def test_what_is_no_weights_file_is_refused(small, data):
    with pytest.raises(Damaged, match="x.weights"):
        weights.read(data, small.shapes, "x.weights")

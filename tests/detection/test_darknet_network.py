"""A configuration as a Keras model computes what darknet's layers compute: written down here in plain numpy, and as a
real darknet computed it.

golden/darknet_program.npz is of the darknet of Debian 12 (0.0.0+git20180914.61c9d02e, pjreddie's last YOLOv3, built for
the processor): `weights`, the file it wrote after 600 iterations with `cfg` on drawn boats; for `picture`, its outputs
before each [yolo] layer, `raw`, and what it finds, `found`: x, y, width, height, objectness, scores of two classes.
"""

from pathlib import Path

import numpy as np
import pytest

from components.errors import DataError
from components.vision.detection import cfg, network, weights
from components.vision.detection.loss import YoloLoss

TEXT = """
[net]
width=32
height=64
[convolutional]
batch_normalize=1
filters=6
size=3
stride=2
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=6
size=1
stride=1
pad=1
activation=leaky
[shortcut]
from=-2
activation=linear
[maxpool]
size=2
stride=2
[maxpool]
size=2
stride=1
[convolutional]
filters=7
size=1
activation=linear
[yolo]
mask=1
anchors=8,8, 16,16
classes=2
num=2
[route]
layers=-3
[upsample]
stride=2
[route]
layers=-1,2
[convolutional]
filters=7
size=3
stride=1
pad=1
activation=linear
[yolo]
mask=0
anchors=8,8, 16,16
classes=2
num=2
"""


def convolution(x: np.ndarray, arrays: dict, size: int, stride: int, leaky: bool) -> np.ndarray:
    """As darknet: size // 2 zeros on every side, then normalised and leaky."""
    pad = size // 2
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    rows, columns = ((n - size) // stride + 1 for n in x.shape[:2])
    out = np.zeros((rows, columns, arrays["kernel"].shape[-1]))
    for i in range(rows):
        for j in range(columns):
            patch = x[i * stride : i * stride + size, j * stride : j * stride + size]
            out[i, j] = np.tensordot(patch, arrays["kernel"], axes=3)
    if "scales" in arrays:
        out = arrays["scales"] * (out - arrays["means"]) / np.sqrt(arrays["variances"] + 1e-5)
    out = out + arrays["biases"]
    return np.where(out > 0, out, 0.1 * out) if leaky else out


def maximum(x: np.ndarray, stride: int) -> np.ndarray:
    """Of 2 x 2; beyond the far edge is nothing."""
    wide = np.pad(x, ((0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
    rows, columns = range(0, x.shape[0], stride), range(0, x.shape[1], stride)
    return np.stack([[wide[i : i + 2, j : j + 2].max(axis=(0, 1)) for j in columns] for i in rows])


@pytest.fixture(scope="module")
def made() -> network.Network:
    found = network.build(cfg.parse(TEXT), seed=0)
    generator = np.random.default_rng(0)
    arrays = [
        {
            name: generator.normal(0, 0.5, a.shape).astype(np.float32) ** (2 if name == "variances" else 1)
            for name, a in c.items()
        }
        for c in found.save()
    ]
    found.load(arrays)
    return found


def test_the_model_computes_what_darknet_computes(made):
    picture = np.random.default_rng(1).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    c = made.save()
    x0 = convolution(picture / 255, c[0], 3, 2, leaky=True)
    x2 = x0 + convolution(x0, c[1], 1, 1, leaky=True)
    x4 = maximum(maximum(x2, 2), 1)
    small = convolution(x4, c[2], 1, 1, leaky=False)
    upwards = np.concatenate([x4.repeat(2, axis=0).repeat(2, axis=1), x2], axis=-1)
    large = convolution(upwards, c[3], 3, 1, leaky=False)
    expected = np.concatenate([small.reshape(-1, 7), large.reshape(-1, 7)])
    found = made.model(picture[None], training=False).numpy()[0]
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


@pytest.fixture(scope="module")
def real() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "golden" / "darknet_program.npz") as file:
        return dict(file)


def loaded(real: dict[str, np.ndarray]) -> tuple[network.Network, np.ndarray]:
    """The network with the weights that darknet wrote, and what it says of the picture: (P, 7)."""
    made = network.build(cfg.parse(str(real["cfg"])), seed=0)
    made.load(weights.read(real["weights"].tobytes(), made.shapes, "darknet's file")[1])
    return made, made.model(real["picture"][None], training=False).numpy()[0]


def test_a_real_darknets_weights_are_read_whole_and_written_back_bit_for_bit(real):
    made, _ = loaded(real)
    data = real["weights"].tobytes()
    header, found = weights.read(data, made.shapes, "darknet's file")
    assert header == weights.Header(0, 2, 0, seen=600 * 4) and len(found) == len(made.shapes) == 4
    assert weights.write(header, made.save()) == data


def test_with_a_real_darknets_weights_the_same_is_found(real):
    """Up to 1e-4, though darknet's epsilon is another on the processor than ours and its own on a GPU."""
    made, raw = loaded(real)
    boxes, objectness = YoloLoss(made.grid, 1.0).decoded(raw[None]).numpy()[0], sigmoid(raw[:, 4:5])
    np.testing.assert_allclose(sigmoid(raw), sigmoid(real["raw"]), atol=1e-4)
    np.testing.assert_allclose(boxes, real["found"][:, :4], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(objectness, real["found"][:, 4:5], atol=1e-4)
    np.testing.assert_allclose(objectness * sigmoid(raw[:, 5:]), real["found"][:, 5:], atol=1e-4)


def test_nothing_but_epsilon_differs_from_a_real_darknet(real, monkeypatch):
    """On the processor it divides by sqrt(variance) + 1e-6."""
    monkeypatch.setattr(network, "_EPSILON", 1e-12)
    np.testing.assert_allclose(loaded(real)[1], real["raw"], atol=2e-4)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values.astype(np.float64)))


def test_each_prediction_knows_its_cell_and_anchor(made):
    grid = made.grid
    assert [(s.layer, s.rows, s.columns, s.mask) for s in grid.scales] == [(6, 16, 8, (1,)), (11, 32, 16, (0,))]
    assert grid.cells[:9].tolist() == [[x, 0] for x in range(8)] + [[0, 1]]
    assert grid.sides[0].tolist() == [8, 16] and grid.sides[-1].tolist() == [16, 32]
    np.testing.assert_allclose(grid.shapes[[0, -1]], [[16 / 32, 16 / 64], [8 / 32, 8 / 64]])
    assert grid.owners.tolist() == [[128, 16, 32, 1, 0], [0, 8, 16, 1, 0]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("filters=7\nsize=1", "filters=8\nsize=1"), "set filters"),
        (("[upsample]", "[reorg]"), "layer 8 is .reorg."),
        (("layers=-1,2", "layers=-1,77"), "names layer 77"),
    ],
)
def test_a_network_that_cannot_be_is_refused(change, words):
    assert change[0] in TEXT
    with pytest.raises(DataError, match=words):
        network.build(cfg.parse(TEXT.replace(*change)), seed=0)


def test_without_a_head_it_is_no_detector():
    with pytest.raises(DataError, match="no .yolo. section"):
        network.build(cfg.parse(TEXT[: TEXT.index("[maxpool]")]), seed=0)

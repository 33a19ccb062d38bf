"""The cut of Fashion-MNIST, on an IDX set made here."""

import csv
import gzip
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datasets import fashion_mnist
from pipeline.datasets.dataset import DataSet
from pipeline.errors import PipelineError

SIZES = {"round1": 20, "round2": 15, "pool": 10, "questions": 8}


def write_idx(folder: Path, part: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    pictures = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    kinds = rng.integers(0, 10, count, dtype=np.uint8)
    head = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pictures.tobytes(), mtime=0))
    head = b"\0\0\x08\x01" + count.to_bytes(4, "big")
    (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + kinds.tobytes(), mtime=0))
    return pictures, kinds


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def train(source: Path) -> tuple[np.ndarray, np.ndarray]:
    return write_idx(source, "train", 50, np.random.default_rng(0))


@pytest.fixture
def asked(source: Path) -> tuple[np.ndarray, np.ndarray]:
    return write_idx(source, "t10k", 10, np.random.default_rng(1))


@pytest.fixture
def made(tmp_path: Path, source: Path, train: object, asked: object) -> DataSet:
    return fashion_mnist.cut(tmp_path / "cut", source, **SIZES)


def read_rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as lines:
        return list(csv.reader(lines))


def test_every_picture_is_bit_exact_and_carries_its_label(made: DataSet, train: tuple[np.ndarray, np.ndarray]) -> None:
    known = {picture.tobytes(): kind for picture, kind in zip(*train, strict=True)}
    seen = set()
    for round_, count in (("base", 20), ("round2", 15)):
        found = read_rows(made.folder / round_ / "Annotations" / "label.csv")
        assert len(found) == count
        for path, attribute, label in found:
            picture = cv2.imread(str(made.folder / round_ / path), cv2.IMREAD_UNCHANGED)
            assert attribute == "garment_labels" and label == "n" * known[picture.tobytes()] + "y" + "n" * (
                9 - known[picture.tobytes()]
            )
            seen.add(picture.tobytes())
    for path in (made.folder / "round2" / "Pool" / "garment_labels").iterdir():
        seen.add(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).tobytes())
    assert len(seen) == 45 and seen <= set(known)


def test_questions_are_the_test_pictures_in_order_with_their_answers(
    made: DataSet, asked: tuple[np.ndarray, np.ndarray]
) -> None:
    questions = read_rows(made.folder / "round2" / "Tests" / "question.csv")
    answers = read_rows(made.answers)
    assert [q[0] for q in questions] == [a[0] for a in answers] and len(questions) == 8
    for question, answer, picture, kind in zip(questions, answers, *(part[:8] for part in asked), strict=True):
        assert question[2] == "" and answer[2].index("y") == kind and answer[3] == "0"
        assert np.array_equal(cv2.imread(str(made.folder / "round2" / question[0]), cv2.IMREAD_UNCHANGED), picture)


def test_the_seed_decides_the_deal(tmp_path: Path, source: Path, train: object, asked: object) -> None:
    texts = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        made = fashion_mnist.cut(tmp_path / name, source, **SIZES, seed=seed)
        texts.append((made.folder / "base" / "Annotations" / "label.csv").read_bytes())
    assert texts[0] == texts[1] != texts[2]


def test_a_missing_package_is_named_with_both_ways_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="apt-get install dataset-fashion-mnist.*dpkg-deb -x"):
        fashion_mnist.cut(tmp_path / "out", tmp_path / "nowhere")


def test_damaged_files_are_refused_and_leave_nothing_behind(
    tmp_path: Path, source: Path, train: object, asked: object
) -> None:
    images = source / "train-images-idx3-ubyte.gz"
    whole = images.read_bytes()
    for broken, said in (
        (whole[: len(whole) // 2], "cannot be read"),
        (gzip.compress(b"GIF89a"), "not an IDX file"),
        (gzip.compress(gzip.decompress(whole)[:-1]), "is damaged"),
    ):
        images.write_bytes(broken)
        with pytest.raises(PipelineError, match=said):
            fashion_mnist.cut(tmp_path / "out", source, **SIZES)
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(("size", "said"), [({"round1": 30}, "ask for less"), ({"round2": 0}, "1 or more")])
def test_a_cut_that_does_not_fit_is_refused(
    tmp_path: Path, source: Path, train: object, asked: object, size: dict[str, int], said: str
) -> None:
    with pytest.raises(PipelineError, match=said):
        fashion_mnist.cut(tmp_path / "out", source, **(SIZES | size))

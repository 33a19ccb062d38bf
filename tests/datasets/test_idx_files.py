"""IDX files: plain and gzipped, whole and damaged, and their cut into one round."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.datasets import idx
from pipeline.errors import PipelineError


def encoded(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=4, max_side=4)), st.booleans())
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, packed: bool) -> None:
    path = tmp_path_factory.mktemp("idx") / "some-idx-ubyte"
    path.write_bytes(gzip.compress(encoded(array)) if packed else encoded(array))
    np.testing.assert_array_equal(idx.read(path, array.ndim), array)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"GIF89a", "is not an IDX file of bytes with 1 dimension"),
        (encoded(np.zeros((2, 2), np.uint8)), "it begins with 00000802"),
        (encoded(np.zeros(5, np.uint8))[:-1], r"it announces \[5\], and has 4 bytes"),
        (gzip.compress(encoded(np.zeros(5, np.uint8)))[:12], "cannot be read"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, body: bytes, said: str) -> None:
    path = tmp_path / "labels"
    path.write_bytes(body)
    with pytest.raises(PipelineError, match=said):
        idx.read(path, 1)


def digits(folder: Path, num_labels: int = 12) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (("train", num_labels), ("t10k", 4)):
        images = rng.integers(0, 256, (12 if part == "train" else 4, 28, 28), dtype=np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(encoded(images))
        labels = (np.arange(count) % 3).astype(np.uint8)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(encoded(labels))
    return folder


def test_a_plain_data_set_becomes_one_round_whose_questions_are_its_test_pictures(tmp_path: Path) -> None:
    made = idx.cut(tmp_path / "out", str(digits(tmp_path / "mnist")))
    assert [r["name"] for r in made.rounds] == ["round1"] and made.attributes[0]["classes"] == ["0", "1", "2"]
    assert len((made.folder / "base" / "Annotations" / "label.csv").read_text().splitlines()) == 12
    assert len((made.folder / "base" / "Tests" / "question.csv").read_text().splitlines()) == 4
    assert not (made.folder / "base" / "Pool").exists()


def test_round_1_takes_what_round_2_and_the_pool_leave(tmp_path: Path) -> None:
    made = idx.cut(tmp_path / "out", str(digits(tmp_path / "mnist")), round2=4, pool=3, questions=2)
    counts = [len((made.folder / r / "Annotations" / "label.csv").read_text().splitlines()) for r in ("base", "round2")]
    assert counts == [5, 4] and len(list((made.folder / "round2" / "Pool" / "class_labels").iterdir())) == 3
    assert len(made.answers.read_text().splitlines()) == 2


def test_pictures_and_classes_of_different_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="train announces 12 pictures, 11 labels"):
        idx.cut(tmp_path / "out", str(digits(tmp_path / "mnist", num_labels=11)))


def test_the_spelling_of_unpacked_archives_is_found(tmp_path: Path) -> None:
    folder = digits(tmp_path / "mnist")
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("-idx", ".idx"))
    assert {path.name for path in folder.iterdir()} >= {"train-images.idx3-ubyte", "t10k-labels.idx1-ubyte"}
    assert idx.cut(tmp_path / "out", str(folder)).attributes[0]["classes"] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("part", "shape", "said"),
    [
        ("train", (0, 28, 28), "train has 0 pictures of 28 x 28 px; give one with pictures"),
        ("t10k", (0, 28, 28), "t10k has 0 pictures"),
        ("train", (4, 0, 28), "train has 4 pictures of 28 x 0 px"),
    ],
)
def test_a_part_without_a_pixel_is_refused(tmp_path: Path, part: str, shape: tuple[int, ...], said: str) -> None:
    folder = digits(tmp_path / "mnist")
    (folder / f"{part}-images-idx3-ubyte").write_bytes(encoded(np.zeros(shape, np.uint8)))
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(encoded(np.arange(shape[0], dtype=np.uint8)))
    with pytest.raises(PipelineError, match=said) as refused:
        idx.cut(tmp_path / "out", str(folder))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        ([0, 1, 2, 255], [0], "the largest label to learn from is 255, but no picture has 3; expected every label"),
        ([7, 8, 9], [7], "is 9, but no picture has 1"),
        ([5, 5, 5], [5], "all pictures to learn from have the label 5; expected two classes or more"),
        ([0, 1, 2], [0, 9], "a test picture has the label 9, none to learn from has it"),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path: Path, train: list[int], test: list[int], said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        idx.cut(tmp_path / "out", str(labelled(tmp_path / "mnist", train, test)))


def test_letters_that_count_from_1_have_no_empty_class(tmp_path: Path) -> None:
    made = idx.cut(tmp_path / "out", str(labelled(tmp_path / "letters", [1, 2, 3], [3])))
    assert made.attributes[0]["classes"] == ["1", "2", "3"]
    assert made.answers.read_text().split(",")[2] == "nny"


def labelled(folder: Path, *parts: list[int]) -> Path:
    """A set with these labels in `train` and `t10k`."""
    folder.mkdir()
    for part, labels in zip(("train", "t10k"), parts, strict=True):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(encoded(np.zeros((len(labels), 28, 28), np.uint8)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(encoded(np.array(labels, np.uint8)))
    return folder


def test_more_than_there_is_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="has 12 training and 4 test pictures; ask for less"):
        idx.cut(tmp_path / "out", str(digits(tmp_path / "mnist")), round1=10, round2=5)

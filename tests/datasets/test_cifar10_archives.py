"""CIFAR-10 in the two forms it is delivered in, written here byte for byte as its authors' tools write them."""

import csv
import io
import pickle
import struct
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from components.ingest import layouts
from components.ingest.rows import open_rounds
from pipeline.datasets import cifar10
from pipeline.errors import PipelineError

PER_BATCH = 6
NAMES = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]
Drawn = dict[str, tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Batch to pictures (count, 32, 32, 3) and classes."""
    rng = np.random.default_rng(0)
    sizes = dict.fromkeys(NAMES, PER_BATCH)
    return {
        name: (rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, n))
        for name, n in sizes.items()
    }


def planes(pictures: np.ndarray) -> np.ndarray:
    return pictures.transpose(0, 3, 1, 2).reshape(len(pictures), -1)


def binary(pictures: np.ndarray, labels: np.ndarray) -> bytes:
    return b"".join(bytes([label]) + row.tobytes() for row, label in zip(planes(pictures), labels, strict=True))


def python2(value: Any) -> bytes:
    """A value as cPickle of Python 2 writes it in protocol 2, without its head and end."""
    if isinstance(value, bytes):
        return b"T" + struct.pack("<I", len(value)) + value
    if isinstance(value, bool) or value is None:
        return {True: b"\x88", False: b"\x89", None: b"N"}[value]
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, tuple):
        return b"(" + b"".join(map(python2, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(python2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(python2(part) for item in value.items() for part in item) + b"u"
    kind = b"cnumpy\ndtype\n" + python2((value.dtype.str[1:].encode(), 0, 1)) + b"R"
    kind += python2((3, b"|", None, None, None, -1, -1, 0)) + b"b"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + python2((0,)) + python2(b"b") + b"tR"
    state = b"(" + python2(1) + python2(value.shape) + kind + python2(False) + python2(value.tobytes()) + b"t"
    return empty + state + b"b"


def pickled(pictures: np.ndarray, labels: np.ndarray) -> bytes:
    files = [f"picture_{i}.png".encode() for i in range(len(labels))]
    body = {
        b"batch_label": b"drawn",
        b"labels": [int(k) for k in labels],
        b"data": planes(pictures),
        b"filenames": files,
    }
    return b"\x80\x02" + python2(body) + b"."


LONG = b"\x8a\x0a" + bytes([1] * 10)  # a number of ten bytes


def labelled_with(drawn: Drawn, labels: Any, more: bytes = b"") -> bytes:
    """A batch with other labels, and a last one that is pickled already."""
    data = python2(planes(drawn[NAMES[0]][0]))
    told = python2(labels).removesuffix(b"e") + more + b"e" if more else python2(labels)
    return b"\x80\x02}(" + python2(b"data") + data + python2(b"labels") + told + b"u."


def write(target: Path, files: Mapping[str, bytes]) -> Path:
    """A .tar.gz, or a folder where the name has no suffix."""
    if target.suffix:
        with tarfile.open(target, "w:gz") as archive:
            for name, data in files.items():
                about = tarfile.TarInfo(name)
                about.size = len(data)
                archive.addfile(about, io.BytesIO(data))
        return target
    for name, data in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    return target


def python_form(drawn: Drawn) -> dict[str, bytes]:
    found = {f"cifar-10-batches-py/{name}": pickled(*batch) for name, batch in drawn.items()}
    return found | {"cifar-10-batches-py/batches.meta": b"\x80\x02}.", "cifar-10-batches-py/readme.html": b"<html>"}


def binary_form(drawn: Drawn) -> dict[str, bytes]:
    found = {f"cifar-10-batches-bin/{name}.bin": binary(*batch) for name, batch in drawn.items()}
    return found | {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n"}


@pytest.mark.parametrize("form", [python_form, binary_form])
@pytest.mark.parametrize("name", ["cifar-10.tar.gz", "unpacked"])
def test_both_forms_give_the_same_pictures_from_an_archive_and_a_folder(
    tmp_path: Path, drawn: Drawn, form: Callable[[Drawn], dict[str, bytes]], name: str
) -> None:
    found = cifar10.read(write(tmp_path / name, form(drawn)))
    for part, batches in (("train", NAMES[:5]), ("test", NAMES[5:])):
        for number, array in enumerate(found[part]):
            np.testing.assert_array_equal(array, np.concatenate([drawn[batch][number] for batch in batches]))


def test_arrays_pickled_in_another_way_than_the_authors_are_refused(tmp_path: Path, drawn: Drawn) -> None:
    files = {
        name: pickle.dumps({b"data": planes(pictures), b"labels": labels.tolist()}, protocol=5)
        for name, (pictures, labels) in drawn.items()
    }
    with pytest.raises(PipelineError, match="not allowed in a batch"):
        cifar10.read(write(tmp_path / "five", files))


def test_the_cut_writes_every_picture_bit_exactly_with_its_class_and_asks_the_test_batch(
    tmp_path: Path, drawn: Drawn
) -> None:
    source = write(tmp_path / "cifar-10-binary.tar.gz", binary_form(drawn))
    made = cifar10.cut(tmp_path / "out", str(source), seed=2)
    known = {p.tobytes(): k for name in NAMES[:5] for p, k in zip(*drawn[name], strict=True)}
    rows = list(csv.reader((made.folder / "base" / "Annotations" / "label.csv").open()))
    assert len(rows) == 5 * PER_BATCH and [r["name"] for r in made.rounds] == ["round1"]
    for path, attribute, label in rows:
        picture = cv2.imread(str(made.folder / "base" / path), cv2.IMREAD_COLOR_RGB)
        assert attribute == "class_labels" and known.pop(picture.tobytes()) == label.index("y")
    asked = list(csv.reader(made.answers.open()))
    for (path, _, label, _), picture, kind in zip(asked, *drawn["test_batch"], strict=True):
        np.testing.assert_array_equal(cv2.imread(str(made.folder / "base" / path), cv2.IMREAD_COLOR_RGB), picture)
        assert label.index("y") == kind
    assert made.attributes[0]["classes"][3] == "cat"


def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path, drawn: Drawn) -> None:
    victim = tmp_path / "victim"
    evil = b"\x80\x02cos\nsystem\n" + python2((f"touch {victim}".encode(),)) + b"R."
    files = python_form(drawn) | {"cifar-10-batches-py/data_batch_3": evil}
    with pytest.raises(PipelineError, match=r"data_batch_3 is no batch of CIFAR-10 .*os\.system is not allowed"):
        cifar10.read(write(tmp_path / "evil", files))
    assert not victim.exists()


def test_damaged_sources_are_named(tmp_path: Path, drawn: Drawn) -> None:
    whole, pickles = binary_form(drawn), python_form(drawn)
    first, second = "cifar-10-batches-bin/data_batch_1.bin", "cifar-10-batches-py/data_batch_2"
    wrong = {
        "short": (whole | {first: whole[first][:-1]}, "no whole records of 3073"),
        "classes": (whole | {first: b"\x0b" + whole[first][1:]}, "classes other than 0 to 9"),
        "missing": ({name: data for name, data in whole.items() if name != first}, "has no data_batch_1"),
        "cut": (pickles | {second: pickles[second][:40]}, "data_batch_2 is no batch"),
        "list": (pickles | {second: b"\x80\x02]."}, "expected a dict of data and labels"),
        "floats": (
            pickles | {second: b"\x80\x02" + python2({b"data": np.zeros((1, 3072)), b"labels": [1]}) + b"."},
            "expected unsigned bytes",
        ),
        "scalar": (pickles | {second: labelled_with(drawn, 5)}, "for labels of shape"),
        "nested": (pickles | {second: labelled_with(drawn, [[k] for k in range(PER_BATCH)])}, "for labels of shape"),
        "large": (pickles | {second: labelled_with(drawn, [0] * 5, LONG)}, "is no batch of CIFAR-10"),
        "long": (pickles | {second: b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f."}, "is no batch of CIFAR-10"),
    }
    for name, (files, said) in wrong.items():
        with pytest.raises(PipelineError, match=said):
            cifar10.read(write(tmp_path / name, files))


def test_an_archive_that_is_none_or_not_there_is_refused(tmp_path: Path, drawn: Drawn) -> None:
    source = write(tmp_path / "cifar.tar.gz", binary_form(drawn))
    source.write_bytes(source.read_bytes()[:-2000])
    with pytest.raises(PipelineError, match="is no whole tar archive"):
        cifar10.read(source)
    source.write_bytes(b"text")
    with pytest.raises(PipelineError, match="is no whole tar archive") as error:
        cifar10.read(source)
    assert "\n" not in str(error.value)
    with pytest.raises(PipelineError, match="nowhere.tar does not exist; give a folder or a tar archive"):
        cifar10.read(tmp_path / "nowhere.tar")


@pytest.mark.parametrize("damage", ["a byte turned over", "the end cut off"])
def test_an_archive_whose_checksum_does_not_fit_is_refused(tmp_path: Path, drawn: Drawn, damage: str) -> None:
    source = write(tmp_path / "cifar.tar.gz", binary_form(drawn))
    body = bytearray(source.read_bytes())
    body[len(body) // 2] ^= 0xFF
    source.write_bytes(body if damage == "a byte turned over" else source.read_bytes()[:-4])
    with pytest.raises(PipelineError, match="is no whole tar archive"):
        cifar10.read(source)


def test_ingest_reads_what_the_cut_writes(tmp_path: Path, drawn: Drawn) -> None:
    made = cifar10.cut(tmp_path / "out", str(write(tmp_path / "bin", binary_form(drawn))), pool=4)
    rounds = open_rounds(made.rounds)
    reading = layouts.reader("auto", rounds)(rounds, made.attributes)
    assert Counter(row.kind for row in reading.rows) == {"labelled": 26, "pool": 4, "test": 6}
    assert not reading.rejected

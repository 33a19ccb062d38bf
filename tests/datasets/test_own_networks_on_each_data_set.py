"""Each data set under the recipe and the studies of own networks: as far as ingest, with the data set's own classes."""

import gzip
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from components import entry
from components.ingest import settings, step
from pipeline import local, recipe
from pipeline.datasets import cifar10, idx, sources
from pipeline.errors import RecipeError

DIGITS = [str(number) for number in range(10)]
GARMENTS = list(idx.FASHION)
CATEGORIES = ["ak47", "american-flag", "backpack"]
RNG = np.random.default_rng(0)


def write_idx(path: Path, array: np.ndarray) -> None:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))


def digits(folder: Path, num_classes: int = 10) -> Path:
    """Two pictures of each class in either part."""
    folder.mkdir()
    labels = np.repeat(np.arange(num_classes, dtype=np.uint8), 2)
    for part in ("train", "t10k"):
        pictures = RNG.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", pictures)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder


def cifar(folder: Path) -> Path:
    """The binary archive, a picture of each class in each batch."""
    folder.mkdir()
    archive = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as target:
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
            records = RNG.integers(0, 256, (10, 1 + 3 * 32 * 32), dtype=np.uint8)
            records[:, 0] = np.arange(10)
            (folder / name).write_bytes(records.tobytes())
            target.add(folder / name, f"cifar-10-batches-bin/{name}.bin")
    return archive


def caltech(folder: Path) -> Path:
    for number, name in enumerate(CATEGORIES, 1):
        (folder / f"{number:03}.{name}").mkdir(parents=True)
        for picture in range(10):
            pixels = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f"{number:03}.{name}" / f"{number:03}_{picture:04}.jpg"), pixels)
    return folder


RECIPE, STUDY = recipe.RECIPES, recipe.STUDIES
COMMANDS: dict[str, tuple[Path, str, list[str], Callable[[Path], Path], list[str]]] = {
    "run cnn_zoo": (RECIPE, "cnn_zoo", [], digits, GARMENTS),
    "run cnn_zoo on digits": (RECIPE, "cnn_zoo", [], digits, DIGITS),
    "run cnn_zoo on CIFAR-10": (
        RECIPE,
        "cnn_zoo",
        ["data.dataset=cifar10", "preprocess.size_px=32"],
        cifar,
        list(cifar10.CLASSES),
    ),
    "run cnn_zoo on Caltech-256": (
        RECIPE,
        "cnn_zoo",
        ["data.dataset=caltech256", "preprocess.size_px=64"],
        caltech,
        CATEGORIES,
    ),
    "study cnn_zoo": (STUDY, "cnn_zoo", [], digits, GARMENTS),
    "study cifar10": (STUDY, "cifar10", [], cifar, list(cifar10.CLASSES)),
    "study caltech256": (STUDY, "caltech256", [], caltech, CATEGORIES),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_data_set_reaches_ingest_with_its_own_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    where, name, overrides, make, classes = COMMANDS[command]
    source = make(tmp_path / "source")
    if classes == GARMENTS:
        known_as_fashion_mnist(source, monkeypatch)
    read = recipe.load(name, [*overrides, f"data.source={source}"], where)
    given, answers = local.prepare(read, "", tmp_path / "state")
    found = ingested(given, read, tmp_path)
    assert {name: attribute["classes"] for name, attribute in found.items()} == {"class_labels": classes}
    assert Path(answers).is_file() and local.left_out(read, given) == []


def known_as_fashion_mnist(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "FASHION_TEST", idx.digest(idx.read_part(source, "t10k")[1]))


def ingested(given: dict[str, Any], read: recipe.Recipe, folder: Path) -> dict[str, Any]:
    """The attributes in the manifest of the step ingest, no row of which is refused."""
    inputs = settings.Inputs(given["rounds"], given["data_root"], given["attributes"], read.head.seed)
    outputs = entry.Outputs({name: folder / name for name in settings.ARTIFACTS}, str(folder / "unfinished"))
    summary = step.run(read.groups["ingest"], inputs, outputs)
    assert summary.metadata["metrics"]["rejected"] == 0
    return json.loads((Path(summary.results["manifest"]) / "index.json").read_text())["content"]["attributes"]


@pytest.mark.parametrize("num_classes", [3, 47])
def test_a_set_of_any_number_of_classes_is_taken(tmp_path: Path, num_classes: int) -> None:
    read = recipe.load("cnn_zoo", [f"data.source={digits(tmp_path / 'source', num_classes)}"])
    given, _ = local.prepare(read, "", tmp_path / "state")
    assert given["attributes"][0]["classes"] == [str(number) for number in range(num_classes)]


def test_numbers_may_be_named_by_the_recipe(tmp_path: Path) -> None:
    names = ["cat", "dog", "fish"]
    changes = [f"data.source={digits(tmp_path / 'source', 3)}", f"attributes.class_labels.classes={','.join(names)}"]
    read = recipe.load("cnn_zoo", changes)
    given, _ = local.prepare(read, "", tmp_path / "state")
    assert ingested(given, read, tmp_path)["class_labels"]["classes"] == names


@pytest.mark.parametrize("names", [GARMENTS[::-1], DIGITS, ["cat", "dog"]])
def test_classes_that_contradict_the_data_set_are_refused(tmp_path: Path, monkeypatch, names: list[str]) -> None:
    source = digits(tmp_path / "source")
    known_as_fashion_mnist(source, monkeypatch)
    assert refusal(tmp_path, f"data.source={source}", f"attributes.class_labels.classes={','.join(names)}") == (
        f"attributes.class_labels.classes is {shown(names)}, but data set idx has T-shirt/top, Trouser, Pullover, "
        "… (10); leave classes out, the data set names its own"
    )


@pytest.mark.parametrize("names", [["cat", "dog"], [*DIGITS, "10"]])
def test_other_numbers_of_names_than_there_are_classes_are_refused(tmp_path: Path, names: list[str]) -> None:
    changes = [f"data.source={digits(tmp_path / 'source')}", f"attributes.class_labels.classes={','.join(names)}"]
    assert refusal(tmp_path, *changes) == (
        f"attributes.class_labels.classes is {shown(names)}, but data set idx has 10 classes, 0, 1, 2, … (10); name "
        "each, or leave classes out"
    )


@pytest.mark.parametrize(
    ("name", "former", "make"), [("cifar10", "object_labels", cifar), ("caltech256", "category_labels", caltech)]
)
def test_who_uses_a_former_name_of_an_attribute_learns_the_new_one(
    tmp_path: Path, name: str, former: str, make: Callable[[Path], Path]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        f'name = "own"\n[data]\ndataset = "{name}"\nsource = "{make(tmp_path / "source")}"\n'
        f'[attributes.{former}]\n[models.a.train]\nbackbone = "small_cnn"\n'
    )
    told = f"attributes.{former}: data set {name} calls it class_labels now; rename it so"
    assert refusal(tmp_path, name=str(own)) == told


def refusal(folder: Path, *overrides: str, name: str = "cnn_zoo") -> str:
    with pytest.raises(RecipeError) as refused:
        local.prepare(recipe.load(name, list(overrides)), "", folder / "state")
    return str(refused.value)


def shown(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{', '.join(names[:3])}, … ({len(names)})"


@pytest.mark.skipif(
    not sources.FASHION_MNIST.is_dir(),
    reason="NOT RUN, no claim about FASHION_TEST is made: the labels come with Debian's dataset-fashion-mnist only",
)
def test_fashion_mnist_is_known_by_its_test_labels() -> None:
    assert idx.digest(idx.read_part(sources.FASHION_MNIST, "t10k")[1]) == idx.FASHION_TEST

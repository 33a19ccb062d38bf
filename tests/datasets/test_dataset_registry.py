"""Data sets by name: made once for the same arguments, visible only when whole."""

import functools
import os
from pathlib import Path

import pytest

from pipeline.datasets import dataset, registry
from pipeline.datasets.dataset import DataSet
from pipeline.errors import PipelineError, RecipeError


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Puts a cheap builder in the place of the demo and counts its work."""
    done: list[int] = []

    def draw(out: Path, seed: int = 0) -> DataSet:
        def fill(folder: Path) -> None:
            done.append(seed)
            (folder / "base").mkdir()
            dataset.write_about(folder, {"round1": "base"}, [{"name": "a"}], {"seed": seed})
            if seed == 13:
                raise PipelineError("no luck")

        return dataset.whole_or_nothing(out, fill)

    monkeypatch.setitem(registry.BUILDERS, "demo", draw)
    return done


def test_a_data_set_is_made_once_for_the_same_arguments(tmp_path: Path, builds: list[int]) -> None:
    first = registry.build("demo", tmp_path)
    again = registry.build("demo", tmp_path, {"seed": 0})
    other = registry.build("demo", tmp_path, {"seed": 1})
    assert first == again and other.folder != first.folder and builds == [0, 1]
    assert first.rounds == [{"name": "round1", "uri": str(first.folder.resolve() / "base")}]


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, builds: list[int]) -> None:
    with pytest.raises(PipelineError, match="no luck"):
        registry.build("demo", tmp_path, {"seed": 13})
    assert os.listdir(tmp_path) == []


def test_a_folder_that_someone_else_filled_is_not_taken_for_a_data_set(tmp_path: Path, builds: list[int]) -> None:
    folder = registry.build("demo", tmp_path).folder
    (folder / "dataset.json").unlink()
    with pytest.raises(PipelineError, match="not a finished data set"):
        registry.build("demo", tmp_path)


def test_unknown_names_and_arguments_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'dmeo' is not a data set; give one of .*demo, fashion_mnist"):
        registry.build("dmeo", tmp_path)
    with pytest.raises(RecipeError, match="data.sede is not an argument of data set demo; give seed, images"):
        registry.build("demo", tmp_path, {"sede": 1})


def test_the_source_of_fashion_mnist_may_be_given_as_text(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="nowhere/train-images-idx3-ubyte.gz does not exist"):
        registry.build("fashion_mnist", tmp_path, {"source": str(tmp_path / "nowhere")})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return classes_of(tmp_path / "source", b"first")


def classes_of(folder: Path, content: bytes) -> Path:
    """A small Caltech-256."""
    for name in ("001.a", "002.b"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(5):
            (folder / name / f"{number}.jpg").write_bytes(content + name.encode() + bytes([number]))
    return folder


def made_of(source: Path | str, root: Path) -> Path:
    return registry.made("caltech256", root, {"source": str(source)})


def test_other_bytes_at_the_same_place_are_another_data_set(tmp_path: Path, source: Path) -> None:
    before = made_of(source, tmp_path / "sets")
    classes_of(source, b"later")
    after = made_of(source, tmp_path / "sets")
    assert after != before
    assert all(b"later" in file.read_bytes() for file in after.rglob("*.jpg"))


def test_a_relative_source_is_not_that_of_another_folder(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes_of(tmp_path / "other" / "source", b"later")
    found = []
    for place in (tmp_path, tmp_path / "other"):
        monkeypatch.chdir(place)
        found.append(made_of("source", tmp_path / "sets"))
    assert found[0] != found[1] and found[0] == made_of(source, tmp_path / "sets")


def test_the_same_bytes_elsewhere_are_the_same_data_set(tmp_path: Path, source: Path) -> None:
    assert made_of(source, tmp_path / "sets") == made_of(source.rename(tmp_path / "moved"), tmp_path / "sets")


def test_a_source_that_is_gone_is_refused_although_it_was_read_before(tmp_path: Path, source: Path) -> None:
    made_of(source, tmp_path / "sets")
    source.rename(tmp_path / "moved")
    with pytest.raises(PipelineError, match="source does not exist; give a folder or a tar archive"):
        made_of(source, tmp_path / "sets")


@pytest.mark.parametrize(
    ("name", "arguments", "folder"),
    [
        ("fashion_mnist", {}, "fashion_mnist-c44c038192d6"),
        ("fashion_mnist", {"source": "/usr/share/datasets/fashion-mnist"}, "fashion_mnist-c44c038192d6"),
        ("idx", {}, "idx-7607627142a6"),
        ("idx", {"source": "mnist"}, "idx-5b5b4dded4f0"),
    ],
)
def test_a_data_set_without_a_source_of_its_own_keeps_the_name_that_it_has_in_state_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, arguments: dict[str, str], folder: str
) -> None:
    @functools.wraps(registry.BUILDERS[name])
    def build(out: Path, **arguments: object) -> None:
        out.mkdir()

    monkeypatch.setitem(registry.BUILDERS, name, build)
    assert registry.made(name, tmp_path, arguments) == tmp_path / folder

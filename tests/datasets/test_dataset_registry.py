"""Data sets by name: made once for the same arguments, visible only when whole."""

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

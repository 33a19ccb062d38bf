"""A file that a training starts from: other bytes under its name are another training, all else stays as it is."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import compile as compiling
from pipeline import local, named_files, recipe
from pipeline.console.recipes import LocalRecipes
from pipeline.engine.catalogue import Catalogue, Labels
from pipeline.engine.store import Store
from pipeline.recipe_steps import PHASES
from pipeline.server.domain.recipes import Asked

STUDY = """
recipe = "demo"
model = "residual"
seeds = [1, 2]
[variants.plain.train]
weights = "none"
[variants.taught.train]
weights = "{weights}"
"""
ROUNDS = [{"name": "round1", "uri": "/data/round1", "digest": "d"}]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "start.h5"
    file.write_bytes(b"first")
    return file


def parameters(folder: Path, *overrides: str, of: str | Path = "demo") -> dict[str, Any]:
    return local.parameters(recipe.load(of, overrides), ROUNDS, folder / "state")


def trainings(folder: Path, *overrides: str, of: str | Path = "demo") -> dict[tuple[str, str], Any]:
    """What each training is given of its attribute and its model: (name, phase) to that."""
    read = recipe.load(of, overrides)
    given = compiling.pipeline_parameters(read) | parameters(folder, *overrides, of=of)
    items = [*given["attributes"], *given["models"]]
    return {(item["name"], phase): item[phase] for item in items for phase in PHASES if phase in item}


def changed(weights: Path, *overrides: str, of: str | Path = "demo") -> set[tuple[str, str]]:
    """The trainings that are others once the file has other bytes; with the same bytes none is."""
    before = trainings(weights.parent, *overrides, of=of)
    assert trainings(weights.parent, *overrides, of=of) == before
    weights.write_bytes(b"second")
    after = trainings(weights.parent, *overrides, of=of)
    return {key for key in after if after[key] != before[key]}


def of_models(*phases: str) -> set[tuple[str, str]]:
    return {(item["name"], phase) for item in recipe.load("demo").models for phase in phases}


@pytest.mark.parametrize(("table", "phases"), [("train", PHASES), ("round1", ("round1",)), ("student", ("student",))])
def test_other_bytes_of_the_recipe_s_weights_are_other_trainings_of_every_model(
    weights: Path, table: str, phases: tuple[str, ...]
) -> None:
    assert changed(weights, f"{table}.weights={weights}") == of_models(*phases)


@pytest.mark.parametrize("loop", ["models", "attributes"])
def test_the_weights_of_one_model_or_attribute_concern_no_other(weights: Path, loop: str) -> None:
    name = getattr(recipe.load("demo"), loop)[0]["name"]
    assert changed(weights, f"{loop}.{name}.round1.weights={weights}") == {(name, "round1")}


def test_a_model_with_weights_of_its_own_does_not_ask_for_the_recipe_s(weights: Path) -> None:
    first, *others = [item["name"] for item in recipe.load("demo").models]
    own = (f"round1.weights={weights}", f"models.{first}.train.weights=none")
    assert changed(weights, *own) == {(name, "round1") for name in others}


def test_a_study_trains_the_variants_that_name_the_file_again_and_no_other(weights: Path) -> None:
    study = weights.with_name("study.toml")
    study.write_text(STUDY.format(weights=weights))
    assert {name for name, _ in changed(weights, of=study)} == {"taught-seed1", "taught-seed2"}


def test_the_same_bytes_elsewhere_have_the_same_digest(weights: Path, tmp_path: Path) -> None:
    weights.with_name("copy.h5").write_bytes(weights.read_bytes())
    first, second = (named_files.digests(one_model(file)) for file in (weights, tmp_path / "copy.h5"))
    assert first == second and first["models"]


def one_model(file: Path | str) -> dict[str, Any]:
    return {"round1_weights": str(file), "models": [{"name": "one", "round1": {"name": "one"}}]}


@pytest.mark.parametrize("name", ["imagenet", "none", "", "https://a.org/w.h5", "/nowhere/w.h5", "./README.md"])
def test_a_word_the_web_and_what_no_step_would_find_change_nothing(name: str) -> None:
    assert named_files.digests(one_model(name)) == {}


def test_a_checkpoint_is_told_by_its_reference(tmp_path: Path) -> None:
    reference = tmp_path / "checkpoints" / ("0" * 32)
    reference.mkdir(parents=True)
    (reference / "index.json").write_text("{}")
    assert named_files.digests(one_model(reference)) == {}


def test_a_recipe_without_files_is_given_what_it_was_given_before(tmp_path: Path) -> None:
    assert parameters(tmp_path).keys() == {"rounds", "data_root", "attributes"}


def test_the_compiled_pipeline_does_not_depend_on_the_bytes(weights: Path) -> None:
    read = recipe.load("demo", [f"round1.weights={weights}"])
    before = compiling.compile_recipe(read)
    weights.write_bytes(b"second")
    assert compiling.compile_recipe(read) == before


def test_no_old_digest_stays_in_a_clone(weights: Path) -> None:
    first = named_files.digests(one_model(weights))
    assert named_files.digests(one_model("none") | first)["models"] == one_model("none")["models"]


def test_a_run_of_a_compiled_pipeline_has_the_digests_too(tmp_path: Path, weights: Path) -> None:
    store = Store.open(tmp_path / "state")
    text = compiling.compile_recipe(recipe.load("demo"))
    known = Catalogue(store)
    version = known.latest(known.create(Labels("demo"), 1.0, text).pipeline_id)
    values = {"round1_weights": str(weights), "rounds": '[{"name": "round1", "uri": "/d", "digest": "d"}]'}
    asked = Asked("version", version.version_id, values)
    first = LocalRecipes().prepare(store, asked).parameters
    weights.write_bytes(b"second")
    second = LocalRecipes().prepare(store, asked).parameters
    store.close()
    assert {name for name in first if first[name] != second[name]} == {"models"}

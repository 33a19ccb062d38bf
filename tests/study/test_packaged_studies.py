"""The studies of this project: each line can be trained, and every item of ShatheNet's list is one."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from components import entry, knobs
from components.vision import network
from pipeline import recipe

STUDIES = sorted((Path(recipe.__file__).parent / "studies").glob("*.toml"))
# Of ShatheNet's list of things to try: what a variant of `cnn_options` changes.
ITEMS = {
    "normalised inputs": "train.network.scaling",
    "augmentation": "train.augment",
    "batch normalisation": "train.network.normalisation",
    "initialisation": "train.network.initialiser",
    "L2": "train.l2",
    "dropout": "train.dropout",
    "gradient checking": "train.gradient_check",
    "activations": "train.network.activation",
    "striding or pooling": "train.network.down",
    "optimisers": "train.optimiser",
    "losses": "train.loss",
    "global average pooling": "train.network.head",
    "weight decay": "train.weight_decay",
    "its schedules": "train.schedule",
    "residual, dense and inception connections": "train.network.connection",
}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_variant_can_be_trained(path: Path) -> None:
    found = recipe.load(path)
    assert len(found.models) >= 6
    for model in found.models:
        values = knobs.as_mapping(found.groups["round1"]) | {"model": model, "phase": "round1"}
        entry.effective(recipe.STEPS["train"], values)


def trained(found: recipe.Recipe, model: dict[str, Any]) -> dict[str, Any]:
    """The settings that a model's training runs with, its network as it is built."""
    values = knobs.as_mapping(found.groups["round1"]) | {"model": model, "phase": "round1"}
    settings = entry.effective(recipe.STEPS["train"], values)
    whole = network.of(settings.backbone, settings.network)
    built = replace(whole, stages=network.stages_of(whole), down="average" if whole.down == "average" else "max")
    return knobs.as_mapping(settings) | {"network": built}


def test_every_variant_of_the_options_trains_something_else_than_all_others() -> None:
    (path,) = (path for path in STUDIES if path.stem == "cnn_options")
    found = recipe.load(path)
    firsts = [model for model in found.models if model["name"].endswith("-seed1")]
    effective = [(model["name"], trained(found, model)) for model in firsts]
    assert len(effective) == len(found.groups["study"].variants)
    assert not [(a, b) for (a, one), (b, other) in combinations(effective, 2) if one == other]


@pytest.mark.parametrize("item", ITEMS)
def test_every_item_of_shathenets_list_is_a_line_of_a_study(item: str) -> None:
    (options,) = (path for path in STUDIES if path.stem == "cnn_options")
    changed = {path for variant in recipe.load(options).groups["study"].variants for path in variant["changes"]}
    assert ITEMS[item] in changed


def test_a_large_network_that_is_not_fine_tuned_stands_beside_a_small_one() -> None:
    (path,) = (path for path in STUDIES if path.stem == "inception")
    found = recipe.load(path)
    train = next(model["train"] for model in found.models if model["name"] == "inception_v3-seed1")
    assert (train["backbone"], train["weights"], train["network"]) == ("InceptionV3", "imagenet", {"resize_px": 96})
    assert train["frozen_epochs"] == train["epochs"], "nothing but the head learns"
    assert found.groups["study"].base == "lean_17k"

"""Recipes: what is read, what wins over what, and what is refused with which words."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import knobs
from pipeline import compile, recipe, recipe_tables
from pipeline.errors import RecipeError
from pipeline.recipe_steps import PHASES, PIPELINES

SMALL: dict[str, Any] = {"name": "small", "attributes": {"sleeve": {}, "coat": {}}, "models": {"tiny": {}}}
BOXES: dict[str, Any] = {"name": "boxes", "pipeline": "detection"}


def refused(document: dict[str, Any], *overrides: str) -> str:
    with pytest.raises(RecipeError) as error:
        recipe.parse(document, overrides)
    return str(error.value)


@pytest.mark.parametrize("document", [SMALL, BOXES], ids=["main", "detection"])
def test_an_empty_recipe_means_the_defaults_of_every_step_of_its_pipeline(document: dict[str, Any]) -> None:
    read = recipe.parse(document)
    assert {group: type(settings) for group, settings in read.groups.items()} == {
        group: recipe.STEPS[step].Settings for group, step in PIPELINES[document.get("pipeline", "main")].groups.items()
    }
    assert all(settings == type(settings)() for settings in read.groups.values())


def test_a_recipe_wins_over_defaults_and_set_wins_over_the_recipe() -> None:
    document = SMALL | {"round1": {"epochs": 7}}
    assert recipe.parse(SMALL).groups["round1"].epochs == recipe.STEPS["train"].Settings().epochs
    assert recipe.parse(document).groups["round1"].epochs == 7
    assert recipe.parse(document, ["round1.epochs=8"]).groups["round1"].epochs == 8
    assert recipe.parse(document, ["round1.epochs=8", "round1.epochs=9"]).groups["round1"].epochs == 9


def test_the_table_train_gives_defaults_to_all_three_trainings() -> None:
    read = recipe.parse(SMALL | {"train": {"epochs": 5}, "round2": {"epochs": 2}})
    assert [read.groups[phase].epochs for phase in PHASES] == [5, 2, 5]


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_later_of_two_overrides_always_wins(first: int, second: int) -> None:
    read = recipe.parse(SMALL, [f"student.epochs={first}", f"student.epochs={second}"])
    assert read.groups["student"].epochs == second


def test_knobs_of_one_attribute_and_one_model_travel_in_their_structs() -> None:
    document = SMALL | {
        "attributes": {"sleeve": {"ordinal": True, "train": {"epochs": 3}}, "coat": {}},
        "models": {"tiny": {"train": {"backbone": "small_cnn"}}},
    }
    read = recipe.parse(document, ["attributes.coat.round2.epochs=4", "attributes.coat.classes=a,b"])
    assert read.attributes == [
        {"name": "sleeve", "ordinal": True, "train": {"epochs": 3}},
        {"name": "coat", "classes": ["a", "b"], "round2": {"epochs": 4}},
    ]
    assert read.models == [{"name": "tiny", "train": {"backbone": "small_cnn"}}]


@pytest.mark.parametrize(
    ("text", "read_value"),
    [
        ("seed=5", lambda r: r.head.seed == 5),
        ("data.rounds=/a/one,gs://b/two", lambda r: r.data.rounds == ["/a/one", "gs://b/two"]),
        ("generations.pseudo=false", lambda r: r.generations.pseudo is False),
        ("placement.cpu.train=1.5", lambda r: r.placement.cpu == {"train": 1.5}),
        ("round1.learning_rate=1e-3", lambda r: r.groups["round1"].learning_rate == 1e-3),
        ('preprocess.views=["plain"]', lambda r: r.groups["preprocess"].views == ["plain"]),
    ],
)
def test_set_reads_each_value_by_the_type_of_its_knob(text: str, read_value: Any) -> None:
    assert read_value(recipe.parse(SMALL, [text]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"round2": {"epochz": 3}}, "round2.epochz is not a setting; did you mean epochs?"),
        ({"trian": {"epochs": 3}}, "trian is not a table of a recipe; did you mean train?"),
        ({"sede": 3}, "sede is not a setting; did you mean seed?"),
        ({"data": {"datset": "demo"}}, "data.datset is not a setting; did you mean dataset?"),
        (
            {"data": {"dataset": "demoo"}},
            "data.dataset='demoo' is not one of ",
        ),
        ({"placement": {"gpus": True}}, "placement.gpus is not a setting"),
        ({"placement": {"cpu": {"trian": 1}}}, "placement.cpu.trian is not a step; did you mean train?"),
        ({"placement": {"memory_gb": {"train": "4G"}}}, "placement.memory_gb.train='4G' is not an amount"),
        (
            {"attributes": {"sleeve": {"train": {"epoch": 3}}}},
            "attributes.sleeve.train.epoch is not a setting; did you mean epochs?",
        ),
        ({"attributes": {"sleeve": {"ingest": {}}}}, "attributes.sleeve.ingest is not a setting or table"),
        (
            {"attributes": {"sleeve": {"clases": []}}},
            "attributes.sleeve.clases is not a setting or table; did you mean classes?",
        ),
        ({"attributes": {}}, "the recipe has no [attributes.NAME] table; give at least one"),
        ({"models": {"a/b": {}}}, "models.a/b is not a table with a plain name"),
        ({"models": {"tiny": {"preprocess": {}}}}, "models.tiny.preprocess is not a setting or table"),
        ({"round1": {"epochs": "many"}}, "round1.epochs='many' is a str; expected int, for instance 3"),
        ({"round1": {"epochs": 0}}, "round1.epochs=0 is below 1; give 1 or more"),
        ({"round1": {"epochs": True}}, "round1.epochs=True is a bool; expected int"),
        ({"train": {"epochs": 2.5}}, "train.epochs=2.5 is a float; expected int"),
        (
            {"data_root": "http://a/b"},
            "data_root='http://a/b' is no place to write; give a folder or gs://BUCKET/FOLDER",
        ),
        ({"data_root": "gs://"}, "data_root='gs://' is no place to write"),
        ({"seed": 2**31}, "seed=2147483648 is above 2147483647; give 2147483647 or less"),
        ({"round1": 3}, "round1=3 is no table; expected [round1]"),
        ({"name": ""}, "name='' is no pipeline name"),
        ({"name": "j" * 129}, "name='jjj"),
        ({"description": "two\nlines"}, "description='two\\nlines' has line breaks"),
        ({"models": {"tiny": {"train": 3}}}, "models.tiny.train=3 is no table; expected [models.tiny.train]"),
        (
            {"data": {"dataset": "demo", "rounds": ["/x"]}},
            "data.dataset and data.rounds are both given; keep one of them",
        ),
    ],
)
def test_a_wrong_recipe_is_refused_with_the_place_and_the_way_out(change: dict[str, Any], message: str) -> None:
    assert refused(SMALL | change).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("round2.epochz=3", "round2.epochz is not a setting; did you mean epochs?"),
        ("rond2.epochs=3", "rond2 is not a table of a recipe; did you mean round2?"),
        ("round2.epochs", "--set 'round2.epochs' has no value"),
        ("round2.epochs=x", "round2.epochs: 'x' is not an int"),
        (
            "attributes.slev.train.epochs=3",
            "attributes.slev.train.epochs names no attribute of the recipe; did you mean sleeve?",
        ),
        ("attributes.sleeve.trian.epochs=3", "attributes.sleeve.trian is not a table of a recipe; did you mean train?"),
        ("models.tiny.train.epochs=0", "models.tiny.train.epochs=0 is below 1"),
        ("a.b.c.d.e=1", "a.b.c.d is not a table of a recipe"),
        ("name.a.b=3", "--set 'name.a.b=3' does not fit: name is no table"),
        ("models.tiny.train=3", "models.tiny.train is a table; give models.tiny.train.KEY=value"),
        ("placement.cpu.train=x", "placement.cpu.train: 'x' is not a float"),
        ("placement.cpu.train=Infinity", "placement.cpu.train=inf is not an amount"),
        ("placement.memory_gb.train=0", "placement.memory_gb.train=0 is not an amount"),
    ],
)
def test_a_wrong_set_is_refused_with_the_place_and_the_way_out(text: str, message: str) -> None:
    assert refused(SMALL, text).startswith(message)


def test_reading_leaves_the_document_as_it_was() -> None:
    document = {"name": "small", "attributes": {"a": {"train": {}}}, "models": {"m": {}}}
    recipe.parse(document, ["attributes.a.train.epochs=3", "seed=4"])
    assert document == {"name": "small", "attributes": {"a": {"train": {}}}, "models": {"m": {}}}


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    text = (recipe.RECIPES / "demo.toml").read_text(encoding="utf-8")
    (tmp_path / "windows.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert recipe.load(tmp_path / "windows.toml") == recipe.load("demo")


def test_a_file_nested_beyond_all_reason_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000)
    with pytest.raises(RecipeError, match="is not TOML"):
        recipe.load(tmp_path / "deep.toml")


def test_a_missing_file_names_the_recipes_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read .*give .* one of: .*boats_demo, .*demo, fashion_mnist"):
        recipe.load(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match="bad.toml is not TOML"):
        recipe.load(file)


@pytest.mark.parametrize("name", sorted(path.stem for path in recipe.RECIPES.glob("*.toml")))
def test_a_packaged_recipe_opens_with_command_hardware_time_and_result(name: str) -> None:
    head = (recipe.RECIPES / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    assert recipe.load(name).head.name == name
    positions = [next(i for i, line in enumerate(head) if line.startswith(f"# {word}:")) for word in HEADER]
    assert positions == sorted(positions) and positions[-1] < 12


HEADER = ("Command", "Hardware", "Time", "Result")


def test_a_data_set_gets_the_arguments_that_the_recipe_gives_and_no_others() -> None:
    document = SMALL | {"data": {"dataset": "fashion_mnist", "round1": 100, "pool": 0, "seed": 3}}
    assert recipe.dataset_arguments(recipe.parse(document)) == {"round1": 100, "seed": 3}
    drawn = recipe.parse(SMALL | {"data": {"dataset": "demo", "images": 60}})
    assert recipe.dataset_arguments(drawn) == {"images": 60, "seed": 0, "attributes": ["sleeve", "coat"]}
    assert recipe.dataset_arguments(recipe.parse(SMALL | {"data": {"rounds": ["/x"]}})) == {}


def test_switching_a_generation_off_leaves_its_groups_out() -> None:
    full = recipe.groups_in(recipe.parse(SMALL).generations)
    short = recipe.groups_in(recipe.parse(SMALL, ["generations.round2=false", "generations.pseudo=false"]).generations)
    assert set(full) == set(recipe.GROUPS)
    assert [group for group in full if group not in short] == ["round2", "pseudo_label", "student"]


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.parse(SMALL).head = knobs  # type: ignore[misc, assignment]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (BOXES | {"ingest": {}}, 'ingest is not a table of a recipe for pipeline="detection", but for main'),
        (BOXES | {"attributes": {"a": {}}}, 'attributes is not a table of a recipe for pipeline="detection", but for'),
        (BOXES | {"generations": {}}, 'generations is not a table of a recipe for pipeline="detection", but for main'),
        (SMALL | {"split": {}}, 'split is not a table of a recipe for pipeline="main", but for detection'),
        (BOXES | {"detect_trian": {}}, "detect_trian is not a table of a recipe; did you mean detect_train?"),
        (
            BOXES | {"pipeline": "detecton"},
            "pipeline='detecton' is not one of ",
        ),
        (BOXES | {"data": {"dataset": "demo"}}, "data.dataset='demo' is not made for pipeline=\"detection\""),
        (SMALL | {"data": {"dataset": "boats"}}, "data.dataset='boats' is not made for pipeline=\"main\""),
        (BOXES | {"data": {"rounds": ["/x"]}}, 'data.rounds means nothing to pipeline="detection"'),
    ],
)
def test_a_recipe_has_the_tables_of_its_pipeline_only(document: dict[str, Any], message: str) -> None:
    assert refused(document).startswith(message)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_pipeline_of_the_table_can_be_named_and_has_a_graph(pipeline: str) -> None:
    assert pipeline in knobs_of_head()["pipeline"].metadata["choices"] and pipeline in compile.DAGS


def knobs_of_head() -> dict[str, Any]:
    return {field.name: field for field in dataclasses.fields(recipe_tables.Head)}


def test_a_pipeline_without_loops_has_neither_attributes_nor_models_and_all_its_groups() -> None:
    read = recipe.parse(BOXES, ["boxes_prepare.size_px=96", "detect_train.iterations=7"])
    assert (read.attributes, read.models, read.active) == ([], [], list(PIPELINES["detection"].groups))
    assert read.groups["boxes_prepare"].size_px == 96 and read.groups["detect_train"].iterations == 7

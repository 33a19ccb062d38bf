"""A study is read as the recipe that it stands for: variants with seeds become models, what they share stays one."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import SettingsError
from components.study import settings as study_settings
from pipeline import compile, recipe, recipe_study, strict_kfp
from pipeline.console import outline
from pipeline.engine import irtext
from pipeline.errors import RecipeError

BASE = """
name = "zoo"
seed = 9
[attributes.garment]
classes = ["a", "b"]
[models.plain.train]
backbone = "small_cnn"
[models.plain.student]
epochs = 9
[train]
epochs = 7
weights = "none"
[student]
epochs = 4
[ensemble]
[generations]
round2 = false
"""
STUDY = """
recipe = "zoo.toml"
seeds = [1, 2]
base = "v1_0"
[variants.v1_0]
notes = "First simple approach"
train.optimiser = "sgd"
[variants.v1_1]
from = "v1_0"
train.backbone = "tiny_cnn"
"""


@pytest.fixture
def read(tmp_path: Path):
    """Reads a study over a recipe."""

    def read(study: str, *overrides: str, base: str = BASE) -> recipe.Recipe:
        (tmp_path / "zoo.toml").write_text(base)
        (tmp_path / "study.toml").write_text(study)
        return recipe.load(tmp_path / "study.toml", overrides)

    return read


def trains(found: recipe.Recipe) -> dict[str, dict[str, Any]]:
    return {model["name"]: model["train"] for model in found.models}


def test_every_variant_with_every_seed_is_a_model_that_begins_with_the_recipes_own(read) -> None:
    found = read(STUDY)
    assert [(m["name"], m["seed"]) for m in found.models] == [
        ("v1_0-seed1", 1),
        ("v1_0-seed2", 2),
        ("v1_1-seed1", 1),
        ("v1_1-seed2", 2),
    ]
    assert trains(found)["v1_0-seed1"] == {"backbone": "small_cnn", "optimiser": "sgd"}
    assert trains(found)["v1_1-seed2"] == {"backbone": "tiny_cnn", "optimiser": "sgd"}


def test_what_all_variants_share_is_the_recipes(read) -> None:
    found = read(STUDY)
    assert (found.head.name, found.head.pipeline, found.head.seed) == ("zoo_study", "study", 9)
    assert found.groups["round1"].epochs == 7
    assert found.active == ["ingest", "preprocess", "round1", "predict", "study"]


def test_the_step_is_told_the_variants_with_their_changes(read) -> None:
    told = read(STUDY).groups["study"]
    assert (told.base, told.metric) == ("v1_0", "accuracy")
    assert told.variants[1] == {
        "name": "v1_1",
        "notes": "",
        "changes": {"train.optimiser": "sgd", "train.backbone": "tiny_cnn"},
        "models": [{"name": "v1_1-seed1", "seed": 1}, {"name": "v1_1-seed2", "seed": 2}],
    }


def test_a_grid_makes_every_combination_named_by_its_values(read) -> None:
    found = read('recipe="zoo.toml"\nseeds=[4]\n[grid]\ntrain.optimiser=["sgd","adam"]\ntrain.l2=[0.0, 1e-4]')
    assert trains(found) == {
        f"optimiser-{optimiser}_l2-{name}-seed4": {"backbone": "small_cnn", "optimiser": optimiser, "l2": value}
        for optimiser in ("sgd", "adam")
        for name, value in (("0.0", 0.0), ("0.0001", 1e-4))
    }


def test_a_grid_may_build_on_a_variant(read) -> None:
    found = read(STUDY + '[grid]\nfrom="v1_1"\ntrain.l2=[0.0, 1e-4]')
    assert trains(found)["l2-0.0001-seed2"] == {"backbone": "tiny_cnn", "optimiser": "sgd", "l2": 1e-4}


def test_lists_of_a_grid_are_numbered_and_told_in_the_notes(read) -> None:
    found = read('recipe="zoo.toml"\nseeds=[1]\n[grid]\ntrain.decay_at=[[0.5], [0.4, 0.8]]\ntrain.l2=[0.0]')
    told = {v["name"]: v["notes"] for v in found.groups["study"].variants}
    assert told == {"decay_at-1_l2-0.0": "decay_at=[0.5]", "decay_at-2_l2-0.0": "decay_at=[0.4, 0.8]"}


def test_a_combination_whose_name_would_be_long_is_numbered_and_told_in_the_notes(read) -> None:
    knobs = ("learning_rate", "weight_decay", "label_smoothing", "warmup_epochs")
    found = read('recipe="zoo.toml"\nseeds=[1]\n[grid]\n' + "".join(f"train.{knob}=[0.0, 0.1]\n" for knob in knobs))
    told = {v["name"]: v["notes"] for v in found.groups["study"].variants}
    assert list(told) == [f"grid-{number}" for number in range(1, 17)]
    assert told["grid-2"] == "learning_rate=0.0, weight_decay=0.0, label_smoothing=0.0, warmup_epochs=0.1"


JUDGES = [
    ("train", "fold=1"),
    ("round1", "fold=1"),
    ("train", 'valid_rounds="newest"'),
    ("predict", 'valid_rounds="newest"'),
    ("predict", 'splits=["test"]'),
]


@pytest.mark.parametrize(("table", "knob"), JUDGES)
def test_no_variant_chooses_the_pictures_that_judge_it(read, table: str, knob: str) -> None:
    with pytest.raises(RecipeError, match=rf"{table}\.{knob.split('=')[0]} is the same for all variants: it chooses"):
        read(STUDY + f"{table}.{knob}\n")


@pytest.mark.parametrize(("table", "knob"), JUDGES[:4])
def test_models_of_the_recipe_that_are_judged_by_different_pictures_are_not_compared(
    read, table: str, knob: str
) -> None:
    base = BASE + f'[models.wide.train]\nbackbone = "tiny_cnn"\n[models.wide.{table}]\n{knob}\n'
    base = base.replace('[models.wide.train]\nbackbone = "tiny_cnn"\n[models.wide.train]', "[models.wide.train]")
    found = read('recipe="zoo.toml"\nseeds=[1]\n[variants.plain]\n[variants.wide]\n', base=base)
    with pytest.raises(RecipeError, match="the same pictures judge all variants of a study, so set it for all"):
        compile.compile_recipe(found)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("attributes.garment.task=regression", "a study does not compare errors of numbers; leave the attribute out"),
        ("train.fold=99", "round1.fold=99: there are 5 folds, nothing would judge; give 0 to 4"),
        ("predict.splits=test", r"predict.splits=\['test'\]: a study judges by validation pictures; add \"valid\""),
    ],
)
def test_a_study_that_nothing_could_judge_is_refused_before_it_trains(read, override: str, message: str) -> None:
    base = BASE.replace('classes = ["a", "b"]\n', "") if "regression" in override else BASE
    with pytest.raises(RecipeError, match=message) as error:
        compile.compile_recipe(read(STUDY, override, base=base))
    assert "\n" not in str(error.value)


def test_tables_of_a_recipe_in_the_study_count_before_the_recipes(read) -> None:
    assert read(STUDY + "[train]\nepochs=2").groups["round1"].epochs == 2
    assert read(STUDY + "[train]\nepochs=2", "train.epochs=3").groups["round1"].epochs == 3


def test_set_reaches_the_study_as_well_as_its_recipe(read) -> None:
    found = read(STUDY, "seeds=8", "base=v1_1", "study.resamples=500", "models.v1_0-seed8.train.epochs=1")
    assert [m["name"] for m in found.models] == ["v1_0-seed8", "v1_1-seed8"]
    assert (found.groups["study"].base, found.groups["study"].resamples) == ("v1_1", 500)
    assert trains(found)["v1_0-seed8"]["epochs"] == 1


def test_of_several_models_one_has_to_be_named(read) -> None:
    base = BASE + '[models.other.train]\nbackbone="tiny_cnn"\n'
    with pytest.raises(RecipeError, match="no model is named of the recipe's models; give model = one of plain, other"):
        read(STUDY, base=base)
    assert trains(read('model="other"' + STUDY, base=base))["v1_0-seed1"]["backbone"] == "tiny_cnn"
    named = STUDY.replace("[variants.v1_1]", '[variants.v1_1]\nmodel = "plain"')
    assert trains(read('model="other"' + named, base=base))["v1_1-seed1"]["backbone"] == "tiny_cnn"


def test_a_variant_begins_with_the_model_of_its_name_and_so_does_what_builds_on_it(read) -> None:
    base = BASE + '[models.wide.train]\nbackbone="tiny_cnn"\n'
    study = 'recipe="zoo.toml"\nseeds=[1]\n[variants.plain]\n[variants.wide]\n[variants.wider]\nfrom="wide"\n'
    told = {name.removesuffix("-seed1"): one["backbone"] for name, one in trains(read(study, base=base)).items()}
    assert told == {"plain": "small_cnn", "wide": "tiny_cnn", "wider": "tiny_cnn"}


def test_parameters_of_a_models_trainings_hold_its_seed_and_those_of_other_tasks_do_not(read) -> None:
    item = compile.pipeline_parameters(read(STUDY))["models"][1]
    assert item["round1"] == {"name": "v1_0-seed2", "seed": 2, "train": {"backbone": "small_cnn", "optimiser": "sgd"}}
    assert item["predict"] == {"name": "v1_0-seed2"}


def test_a_study_compiles_to_a_pipeline_that_kubeflow_can_run(read) -> None:
    for round2 in ("true", "false"):
        text = compile.compile_recipe(read(STUDY, f"generations.round2={round2}"))
        strict_kfp.refuse(text, {"rounds": [], "data_root": "gs://bucket/data"})
        assert ("train-round2" in text) == (round2 == "true")
        assert "exec-promote" not in text and "exec-ensemble" not in text


@pytest.mark.parametrize("round2", ["true", "false"])
def test_the_console_knows_the_tasks_of_a_study_before_it_runs(read, round2: str) -> None:
    found = read(STUDY, f"generations.round2={round2}")
    ir = irtext.read(compile.compile_recipe(found))
    planned = outline.of_pipeline(ir, compile.pipeline_parameters(found))
    assert Counter({one.name: one.count for one in planned}) == {
        one.name: one.count for one in outline.of_recipe(found)
    }


@pytest.mark.parametrize("file", sorted(recipe.STUDIES.glob("*.toml")), ids=lambda file: file.stem)
def test_every_study_of_this_project_compiles_for_kubeflow(file: Path) -> None:
    found = recipe.load(file.stem, packaged=recipe.STUDIES)
    text = compile.compile_recipe(found)
    strict_kfp.refuse(text, {"rounds": [], "data_root": "gs://bucket/data"})
    assert "comp-study" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("train.optimiser", "preprocess.size_px"),
            "preprocess.size_px is the same for all variants; a variant changes",
        ),
        (
            ("train.optimiser", "tarin.optimiser"),
            "tarin.optimiser is no table of a recipe; .*; a variant changes train,",
        ),
        (("train.optimiser", "train.optimizer"), "train.optimizer is not a setting; did you mean optimiser?"),
        (('from = "v1_0"', 'from = "v1"'), "from='v1' is no variant; did you mean v1_0?"),
        (('from = "v1_0"', 'from = "v1_1"'), "from='v1_1' builds on itself; name another variant"),
        (('base = "v1_0"', 'base = "v2"'), "base='v2' is no variant"),
        (("seeds = [1, 2]", "seeds = [1, 1]"), r"seeds=\[1, 1\]; give one or more, each once"),
        (("seeds = [1, 2]", "seeds = []"), r"seeds=\[\]; give one or more, each once"),
        (("seeds = [1, 2]", 'seeds = ["1"]'), r"seeds\[0\]='1' is a str; expected int"),
        (("seeds", "sedes"), r"sedes=\[1, 2\] is not a setting of a study; did you mean seeds\?"),
        (('recipe = "zoo.toml"', ""), "recipe is missing; name what the variants change"),
        (('recipe = "zoo.toml"', 'recipe = "zo.toml"'), "zo.toml cannot be read"),
        (('recipe = "zoo.toml"', 'recipe = "study.toml"'), "recipe='study.toml' is a study too; name the recipe"),
        (("[variants.v1_1]", '[variants."v 1"]'), "variants.v 1 is no table with a plain name"),
        (
            ("[variants.v1_1]", '[variants.".."]'),
            r"variants\.\.\. is no table with a plain name; expected .* the first no sign",
        ),
        (("[variants.v1_1]", f"[variants.{'a' * 61}]"), "is no table with a plain name; .* at most 60 letters"),
        (("seeds = [1, 2]", "seed = [1]"), r"seed=\[1\] is not a setting of a study; did you mean seeds\?"),
        (("seeds = [1, 2]", "metrik = 'ap'"), "metrik='ap' is not a setting of a study; did you mean metric?"),
        (("train.optimiser", "trian.optimiser"), "trian.optimiser is no table of a recipe; did you mean train"),
        (("notes", "note"), "note is no table of a recipe; did you mean notes?"),
        (("[variants.v1_0]", "[grid]\ntrain.l2=[0, 0]\n[variants.v1_0]"), "l2-0 is the name of 2 variants; give each"),
        (("[variants.v1_0]", "[grid]\ntrain.l2=0.1\n[variants.v1_0]"), "grid.train.l2=0.1 is no list; give the values"),
        (("[variants.v1_0]", "[grid]\ntrain.l2=[]\n[variants.v1_0]"), "grid.train.l2=.. is no list; give the values"),
    ],
)
def test_what_a_study_cannot_do_is_said_in_one_line(read, change: tuple[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        read(STUDY.replace(*change))
    assert "\n" not in str(error.value)


def test_a_grid_that_explodes_is_refused_before_it_is_compiled(read) -> None:
    numbers = str([i / 1000 for i in range(20)])
    with pytest.raises(RecipeError, match="400 variants with 3 seeds are 1200 trainings"):
        read(f'recipe="zoo.toml"\n[grid]\ntrain.l2={numbers}\ntrain.dropout={numbers}')


def test_a_study_without_variants_says_so(read) -> None:
    with pytest.raises(RecipeError, match=r"the study has no variants; give \[variants.NAME\] tables, or a \[grid\]"):
        read('recipe="zoo.toml"\n[variants]\n')


def test_a_recipe_is_no_study(read, tmp_path: Path) -> None:
    (tmp_path / "zoo.toml").write_text(BASE)
    assert recipe.load(tmp_path / "zoo.toml").head.pipeline == "main"


def test_the_metrics_of_a_study_are_those_of_its_step() -> None:
    def choices(cls: type) -> Any:
        return {f.name: f.metadata["choices"] for f in cls.__dataclass_fields__.values()}["metric"]

    assert choices(recipe_study.Study) == choices(study_settings.Settings)


PLAIN = st.text("abc", min_size=1, max_size=2)
TABLES = st.recursive(st.integers(), lambda inner: st.dictionaries(PLAIN, inner, max_size=3), max_leaves=6)
DOCUMENTS = st.dictionaries(PLAIN, TABLES, max_size=3)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "plain", "a", "zoo.toml", "sgd"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "plain", "from", "model", "notes", "train", "optimiser"]), inner)
    ),
    max_leaves=8,
)
KEYS = ["seeds", "base", "model", "metric", "variants", "grid", "models", "generations", "train", "study", "name"]


@given(st.dictionaries(st.sampled_from(KEYS), ANY))
def test_whatever_a_file_says_is_read_or_refused_in_one_line(document: dict) -> None:
    def read(name: str) -> dict:
        return {"name": "zoo", "attributes": {"a": {}}, "models": {"plain": {"train": {"epochs": 3}}}}

    try:
        recipe.parse(recipe_study.expanded({"recipe": "zoo.toml", **document}, read))
    except (SettingsError, RecipeError) as error:
        assert "\n" not in str(error)


@given(DOCUMENTS, DOCUMENTS)
def test_the_upper_document_wins_and_nothing_else_of_the_lower_is_lost(under: dict, over: dict) -> None:
    both = recipe_study.merged(under, over)
    assert recipe_study.merged(both, over) == both
    assert recipe_study.merged(under, {}) == under and recipe_study.merged({}, over) == over
    # An empty table says nothing.
    told = {name: value for name, value in recipe_study.flat(over).items() if value != {}}
    assert recipe_study.flat(both).items() >= told.items()

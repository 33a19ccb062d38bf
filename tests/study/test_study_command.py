"""`seamline study` as people type it: the plan, what it refuses, and its table."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline import running, study_table
from pipeline.cli import main
from pipeline.engine.records import Run
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store

RECIPE = 'name = "zoo"\n[attributes.garment]\n[models.plain.train]\nbackbone = "small_cnn"\n'
STUDY = """
recipe = "zoo.toml"
seeds = [1, 2]
[variants.plain]
notes = "First simple approach"
[variants.residual]
train.backbone = "small_resnet"
"""


@pytest.fixture
def seamline(tmp_path: Path):
    (tmp_path / "zoo.toml").write_text(RECIPE)
    (tmp_path / "study.toml").write_text(STUDY)

    def seamline(*arguments: str) -> Result:
        given = [str(tmp_path / a) if a.endswith(".toml") else a for a in arguments]
        return CliRunner().invoke(main, [*given, "--state", str(tmp_path / "state")])

    return seamline


def test_the_plan_says_how_many_trainings_it_would_be_and_makes_no_run(seamline, tmp_path: Path) -> None:
    said = seamline("study", "study.toml", "--plan")
    assert said.exit_code == 0 and "8 trainings against plain" in said.stdout
    assert "First simple approach" in said.stdout and "train.backbone=small_resnet" in said.stdout
    assert not (tmp_path / "state").exists()


def test_the_plan_for_machines_names_every_model(seamline) -> None:
    said = json.loads(seamline("study", "study.toml", "--plan", "--json", "--set", "generations.round2=false").stdout)
    assert (said["trainings"], said["base"]) == (4, "plain")
    assert [model["name"] for v in said["variants"] for model in v["models"]][:2] == ["plain-seed1", "plain-seed2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zoo.toml"], "has no [variants.NAME] and no [grid]; give a study, or `seamline run"),
        (["no_such_study"], "no_such_study cannot be read"),
        (["study.toml", "--set", "seeds=one"], "'[one]' is not a list; give JSON"),
        (["study.toml", "--set", "train.epochz=1"], "train.epochz is not a setting; did you mean epochs?"),
        (["study.toml"], "no data: give --data DIR, or [data] rounds or dataset in the recipe"),
    ],
)
def test_what_cannot_be_studied_is_said_in_one_line(seamline, arguments: list[str], message: str) -> None:
    said = seamline("study", *arguments)
    assert said.exit_code == 2 and message in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


def test_every_option_of_run_is_one_of_study_too() -> None:
    run, study = (
        {param.name for param in main.commands[name].params} - {"recipe", "study"} for name in ("run", "study")
    )
    assert study - run == {"plan_only"} and run <= study


@pytest.fixture
def begin(seamline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Begins the study without executing it: the run that it would execute, and what was said."""
    (tmp_path / "round1").mkdir()
    (tmp_path / "round1" / "labels.csv").write_text("image,garment\n1.png,skirt\n")
    begun: list[Run] = []

    def execute(engine: Engine, state_dir: Path, run_id: str, as_json: bool) -> None:
        begun.append(Store.open(state_dir, read_only=True).run(run_id))

    monkeypatch.setattr(running, "execute", execute)

    def begin(*options: str) -> tuple[Run, str]:
        said = seamline("study", "study.toml", "--data", str(tmp_path / "round1"), *options)
        assert said.exit_code == 0, said.output
        return begun[-1], said.stderr

    return begin


def test_without_cache_it_is_a_run_of_its_own_that_goes_on_too(begin) -> None:
    (cached, _), (uncached, _) = begin(), begin("--no-cache")
    assert (cached.cache, uncached.cache) == (True, False)
    assert begin()[0].run_id == cached.run_id != uncached.run_id == begin("--no-cache")[0].run_id


def test_an_attribute_that_the_data_lacks_is_said(begin, tmp_path: Path) -> None:
    (tmp_path / "zoo.toml").write_text(RECIPE + "[attributes.sleeve]\n")
    assert "not in the data, left out: sleeve" in begin()[1]


def test_a_study_is_not_run_as_a_recipe(seamline, tmp_path: Path) -> None:
    said = seamline("run", "study.toml")
    assert said.exit_code == 2 and said.stderr.count("\n") == 1
    assert "study.toml is a study; use `seamline study " in said.stderr
    assert not (tmp_path / "state").exists()


def variant(name: str, difference: dict[str, Any] | None) -> dict[str, Any]:
    measured = {"mean": 0.5, "sd": 0.01, "seeds": {"1": 0.49, "2": 0.51}, "difference": difference}
    return {"name": name, "parameters": 17034, "flops": 2000, "minutes": None, "valid": measured}


def test_the_table_of_a_run_shows_no_difference_without_its_interval_and_verdict() -> None:
    against = {"difference": 0.0123, "low": -0.001, "high": 0.02, "verdict": "noise"}
    found = {
        "metric": "accuracy",
        "base": "a",
        "seeds": [1, 2],
        "pictures": {"valid": 10, "test": 0},
        "variants": [variant("a", None), variant("b", against)],
    }
    *_, base, other = study_table.render(found).splitlines()
    assert base.split() == ["a", "17,034", "2,000", "-", "0.5000", "±", "0.0100", "base"]
    assert other.split()[-5:] == ["+0.0123", "-0.0010", "to", "+0.0200", "noise"]
    undefined = found | {"variants": [variant("a", None), variant("b", against | {"low": None})]}
    assert "+0.0123" not in study_table.render(undefined)


def test_a_study_cannot_be_watched(seamline, tmp_path: Path) -> None:
    said = seamline("watch", str(tmp_path), "--recipe", "study.toml", "--once")
    assert said.exit_code == 2 and said.stderr.count("\n") == 1
    assert 'cannot be watched: pipeline="study" promotes no champion; use `seamline study`' in said.stderr

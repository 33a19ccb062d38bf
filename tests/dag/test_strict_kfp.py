"""`--strict-kfp`: what Kubeflow Pipelines could not run is refused here too, with check, task and way out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pipeline import compile as compiler
from pipeline import local, recipe, strict_kfp
from pipeline.cli import main
from pipeline.errors import PipelineError

Compiled = Callable[..., str]
GIVEN = {"rounds": [{"name": "round1", "uri": "gs://b/1", "digest": ""}], "data_root": "gs://b/data"}


def with_fault(text: str) -> str:
    """The step promote acts on the world, so a cached one is a fault."""
    documents = list(yaml.safe_load_all(text))
    documents[0]["root"]["dag"]["tasks"]["promote"]["cachingOptions"] = {"enableCache": True}
    return yaml.safe_dump_all(documents)


@pytest.mark.parametrize("name", ["demo", "fashion_mnist", "fashionai"])
def test_every_recipe_passes(compiled: Compiled, name: str, tmp_path: Path) -> None:
    engine = local.open_engine(tmp_path / "state", strict=True)
    assert engine.create_run(compiled(name), GIVEN)


def test_a_fault_is_refused_with_check_task_and_way_out(compiled: Compiled, tmp_path: Path) -> None:
    spoilt = with_fault(compiled("demo"))
    with pytest.raises(PipelineError) as refused:
        local.open_engine(tmp_path / "strict", strict=True).create_run(spoilt, GIVEN)
    assert str(refused.value) == (
        "--strict-kfp: check 12, root/promote: acts on the world or ends the run, and is cached: a hit would skip it; "
        "switch its caching off"
    )
    assert local.open_engine(tmp_path / "usual").create_run(spoilt, GIVEN)


def test_what_only_the_values_of_a_run_make_wrong_is_seen(compiled: Compiled) -> None:
    text = compiled("demo")
    strict_kfp.refuse(text, GIVEN)
    with pytest.raises(PipelineError, match=r"check 10, .*runs over an empty list.*give at least one item"):
        strict_kfp.refuse(text, GIVEN | {"models": []})
    many = [{"name": f"a{i}"} for i in range(200)]
    with pytest.raises(PipelineError, match=r"check 22, .*keep below 150.*; and \d+ more"):
        strict_kfp.refuse(text, GIVEN | {"attributes": many})


def test_compile_and_run_refuse_before_anything_is_written(monkeypatch: Any, tmp_path: Path) -> None:
    text = with_fault(compiler.compile_recipe(recipe.load("demo")))
    monkeypatch.setattr(compiler, "compile_recipe", lambda *_, **__: text)
    monkeypatch.setattr(local, "prepare", lambda *_: (GIVEN | {"attributes": [{"name": "a"}]}, ""))
    output, state = tmp_path / "p.yaml", tmp_path / "state"
    for command in (["compile", "demo", "-o", output], ["run", "demo", "--state", state]):
        ended = CliRunner().invoke(main, [*map(str, command), "--strict-kfp"])
        assert (ended.exit_code, ended.stderr.splitlines()[-1][:31]) == (2, "error: --strict-kfp: check 12, "), ended
    assert not output.exists()

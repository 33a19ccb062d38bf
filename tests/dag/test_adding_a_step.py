"""`docs/adding-a-step.md` is followed here: its code goes into a copy of the project, which then has one step more."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.ir_shape import read

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding-a-step.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FILES = ("settings.py", "component.py", "step.py", "__main__.py")
PREPROCESS = (
    '        shards = preprocess(manifest=manifest, rounds=p.rounds, attribute=own, **p.preprocess).outputs["shards"]\n'
)
# Where the page says that the lines after those four files go: file, and the line that each stands behind.
PLACES = (
    ("pipeline/recipe_steps.py", "from components.report import settings as report\n"),
    ("pipeline/recipe_steps.py", '    "preprocess": preprocess,\n'),
    ("pipeline/recipe_steps.py", '    "preprocess": "preprocess",\n'),
    ("pipeline/dag.py", "from components.report.component import report\n"),
    ("pipeline/dag.py", PREPROCESS),
    ("pipeline/placement.py", '    "preprocess": (2, 4),\n'),
)
USE = """
from pipeline import compile, ir_checks, recipe
overrides = ["sharpness.quantile=0.5", "attributes.skirt_length_labels.sharpness.quantile=0.1"]
text = compile.compile_recipe(recipe.load("demo", overrides))
assert ir_checks.check(text) == []
print(text, end="")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the page's step in it."""
    folder = tmp_path_factory.mktemp("project")
    for package in ("components", "pipeline"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    step = folder / "components" / "sharpness"
    step.mkdir()
    (step / "__init__.py").touch()
    for name, block in zip(FILES, BLOCKS, strict=False):
        (step / name).write_text(block, encoding="utf-8")
    for (name, anchor), block in zip(PLACES, BLOCKS[len(FILES) :], strict=True):
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(anchor) == 1, f"{name} changed: the test, and perhaps the page, must follow"
        (folder / name).write_text(text.replace(anchor, anchor + block), encoding="utf-8")
    return folder


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=project, capture_output=True, text=True, env=environment)


def test_the_page_names_every_file_that_it_touches() -> None:
    for name in [*(f"components/sharpness/{file}" for file in FILES), *dict(PLACES)]:
        assert f"`{name}`" in PAGE


def test_the_added_step_is_a_task_of_the_compiled_pipeline_with_its_knobs(project: Path) -> None:
    ended = python(project, "-c", USE)
    assert ended.returncode == 0, ended.stderr
    shape = read(ended.stdout)
    added = next(task for task in shape.tasks if task.name == "sharpness")
    assert added.dag == "comp-for-loop-1" and added.body["dependentTasks"] == ["preprocess"]
    assert set(added.inputs()) == {"shards", "attribute", "data_root", "quantile"}
    inputs = shape.dags["root"]["inputDefinitions"]["parameters"]
    assert inputs["sharpness_quantile"]["defaultValue"] == 0.5
    assert inputs["attributes"]["defaultValue"][0]["sharpness"] == {
        "name": "skirt_length_labels",
        "sharpness": {"quantile": 0.1},
    }


def test_the_added_step_runs_by_hand(project: Path, tmp_path: Path) -> None:
    flags = [
        "--shards",
        "somewhere/shards/1",
        "--attribute",
        '{"name":"a"}',
        "--data-root",
        str(tmp_path),
        "--out",
        str(tmp_path),
    ]
    ended = python(project, "-m", "components.sharpness", *flags)
    assert ended.returncode == 0, ended.stderr
    assert '"blurred": "somewhere/shards/1"' in ended.stdout
    assert "least sharp" in python(project, "-m", "components.sharpness", "--help").stdout

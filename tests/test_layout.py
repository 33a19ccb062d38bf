"""The layout that the import names rely on: flat, ours alone, and predictable."""

import importlib.metadata
import importlib.util
import subprocess
from pathlib import Path

import pytest

from pipeline.recipe import STEPS

ROOT = Path(__file__).resolve().parent.parent
STEP_FILES = {"settings.py", "component.py", "step.py", "__main__.py"}
TOP_LEVEL = {
    *("README.md", "pyproject.toml", "requirements.lock", "Makefile", "CHANGELOG.md", "benchmarks", "LICENSE"),
    *(
        "components",
        "pipeline",
        "docker",
        "k8s",
        "tests",
        "docs",
        ".gitignore",
        ".ci",
        ".github",
        ".pre-commit-config.yaml",
    ),
    *(".dockerignore", ".python-version"),
}
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "misc"}


def modules() -> list[Path]:
    return sorted(file.relative_to(ROOT) for name in ("components", "pipeline") for file in (ROOT / name).rglob("*.py"))


@pytest.mark.parametrize("name", ["components", "pipeline"])
def test_the_import_names_are_this_checkout(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    assert Path(spec.origin).resolve() == ROOT / name / "__init__.py"


@pytest.mark.parametrize("name", ["components", "pipeline"])
def test_no_other_installed_package_owns_our_import_names(name: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(name, []))
    assert owners <= {"seamline"}, f"{owners - {'seamline'}} also install a package called {name}; uninstall them"


@pytest.mark.parametrize("folder", ["tests/pipeline", "tests/components"])
def test_no_test_folder_shadows_a_package(folder: str) -> None:
    assert not (ROOT / folder).exists(), f"{folder} would be imported in place of the package; name it by subject"


def test_tests_are_no_packages_and_have_unique_names() -> None:
    assert [str(file.relative_to(ROOT)) for file in (ROOT / "tests").rglob("__init__.py")] == []
    names = [file.name for file in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names)), "two test files share a name"


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(file) for file in modules() if file.stem in VAGUE or VAGUE & set(file.parts)] == []


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {(ROOT / file).parent for file in modules()}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("step", sorted(STEPS))
def test_a_step_has_the_same_four_files(step: str) -> None:
    present = {file.name for file in (ROOT / "components" / step).iterdir()}
    assert present >= STEP_FILES


@pytest.mark.parametrize("step", sorted(STEPS))
def test_the_entry_of_a_step_is_three_lines(step: str) -> None:
    lines = (ROOT / "components" / step / "__main__.py").read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line and not line.startswith(('"""', "#"))]
    assert code == [
        "from components import entry",
        f"from components.{step} import settings, step",
        "entry.main(settings, step.run)",
    ]


def test_every_folder_with_a_component_is_a_step_of_the_recipes() -> None:
    assert {file.parent.name for file in (ROOT / "components").glob("*/component.py")} == set(STEPS)


def test_the_top_level_holds_only_known_entries() -> None:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in listed.stdout.splitlines()}
    assert top <= TOP_LEVEL, f"unknown at the top: {sorted(top - TOP_LEVEL)}"

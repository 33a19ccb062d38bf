"""The code part of a cache key: it moves with every file that a step runs, and with nothing else."""

from pathlib import Path

import pytest

from pipeline import code_identity
from pipeline.recipe import STEPS

FILES = {
    "components/__init__.py": "",
    "components/entry.py": "import json\n",
    "components/lone.py": "x = 1\n",
    "components/vision/__init__.py": "",
    "components/vision/views.py": "def run():\n    from components.vision import faces\n",
    "components/vision/faces.py": "",
    "components/vision/unused.py": "",
    "components/first/__init__.py": "",
    "components/first/__main__.py": "from components import entry\nfrom components.first import settings, step\n",
    "components/first/settings.py": "",
    "components/first/step.py": "import numpy\nfrom components.vision import views\n",
    "components/first/component.py": "from components import images\n",
    "components/first/page.html": "<p>",
    "components/images.py": "",
    "components/second/__init__.py": "",
    "components/second/__main__.py": "from components import entry\n",
}
FIRST = ["python", "-m", "components.first"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *(
            "components/first/step.py",
            "components/first/settings.py",
            "components/first/__main__.py",
            "components/entry.py",
        ),
        *(
            "components/vision/views.py",
            "components/vision/faces.py",
            "components/first/page.html",
            "components/__init__.py",
        ),
    ],
)
def test_a_change_in_what_the_step_runs_changes_its_identity(tree: Path, name: str) -> None:
    before = code_identity.identity(FIRST, tree)
    (tree / name).write_text(FILES[name] + "\n# changed\n")
    assert code_identity.identity(FIRST, tree) != before


@pytest.mark.parametrize(
    "name",
    [
        *("components/lone.py", "components/vision/unused.py", "components/second/__main__.py"),
        *("components/first/component.py", "components/images.py"),
    ],
)
def test_a_change_elsewhere_does_not(tree: Path, name: str) -> None:
    before = code_identity.identity(FIRST, tree)
    (tree / name).write_text(FILES[name] + "# changed\n")
    assert code_identity.identity(FIRST, tree) == before


def test_the_place_of_the_checkout_does_not_matter(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = tmp_path_factory.mktemp("elsewhere") / "checkout"
    tree.rename(moved)
    again = code_identity.identity(FIRST, moved)
    moved.rename(tree)
    assert code_identity.identity(FIRST, tree) == again


def test_arguments_do_not_matter_to_a_step_but_are_all_there_is_to_another_command(tree: Path) -> None:
    assert code_identity.identity([*FIRST, "--executor-input", "{}"], tree) == code_identity.identity(FIRST, tree)
    assert code_identity.identity(["sh", "-c", "echo 1"], tree) != code_identity.identity(["sh", "-c", "echo 2"], tree)
    assert code_identity.identity(["sh", "-c", "echo 1"], tree) == code_identity.identity(["sh", "-c", "echo 1"], tree)


def test_two_steps_differ(tree: Path) -> None:
    assert code_identity.identity(FIRST, tree) != code_identity.identity(["python", "-m", "components.second"], tree)


def test_another_version_of_a_deciding_library_changes_the_identity(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = code_identity.identity(FIRST, tree)
    monkeypatch.setattr(code_identity, "_versions", lambda: {"numpy": "0.0"})
    assert code_identity.identity(FIRST, tree) != before


@pytest.mark.parametrize("step", sorted(STEPS))
def test_a_real_step_depends_on_its_own_files_and_on_no_other_step(step: str) -> None:
    found = [path.relative_to(code_identity.ROOT) for path in code_identity.sources(f"components.{step}")]
    rooms = {path.parts[1] for path in found if len(path.parts) > 2}
    assert {f"components/{step}/step.py", "components/entry.py"} <= {path.as_posix() for path in found}
    assert rooms & set(STEPS) == {step}


def test_the_identity_of_a_command_stays_the_same_while_the_code_does() -> None:
    commands = [["python", "-m", f"components.{step}"] for step in STEPS]
    first = [code_identity.identity(command) for command in commands]
    assert [code_identity.identity(command) for command in commands] == first
    assert len(set(first)) == len(STEPS)

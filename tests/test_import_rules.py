"""Who may import whom. Habits forget; this table, which is the design's own, names the file and the line."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOUNDATIONS = (
    *("components.knobs", "components.errors", "components.entry", "components.progress", "components.idle"),
    "components.page",
    "components.usage",
)
LIBRARIES = ("components.artifacts", "components.vision")
ARRAYS = ("numpy", "pandas", "pyarrow")
FOREIGN = "any library"


@dataclass(frozen=True)
class Rule:
    """Files like `files` may import the standard library and `allowed`; `{step}` is the file's own folder.

    FOREIGN among the allowed stands for every third-party library but those that are `forbidden`.
    """

    files: str
    allowed: tuple[str, ...]
    forbidden: tuple[str, ...] = ()


# The first rule that matches a file holds for it.
RULES = (
    Rule("components/artifacts/shards.py", ("components.artifacts", "components.errors", *ARRAYS, "tensorflow")),
    Rule(
        "components/artifacts/*",
        (
            "components.artifacts",
            "components.errors",
            "components.images",
            *ARRAYS,
            "google",
            "google_crc32c",
            "httpx",
            "requests",
            "safetensors",
            "urllib3",
        ),
    ),
    Rule("components/vision/network.py", FOUNDATIONS),  # read where recipes are checked
    Rule("components/vision/*", (*LIBRARIES, *FOUNDATIONS, FOREIGN), ("kfp", "google")),
    Rule("components/train/settings.py", ("components.knobs", "components.vision.network")),
    Rule("components/*/settings.py", ("components.knobs",)),
    Rule("components/*/component.py", ("components.declare", "components.images", "components.{step}.settings")),
    Rule("components/*/*", ("components.{step}", *LIBRARIES, *FOUNDATIONS, FOREIGN), ("kfp", "google")),
    Rule("components/declare.py", ("components.knobs", "kfp")),
    Rule("components/*.py", FOUNDATIONS),
    Rule(
        "pipeline/recipe*.py",
        ("components.*.settings", *FOUNDATIONS[:3], "pipeline.errors", "pipeline.recipe", "pipeline.recipe_*"),
    ),
    Rule("pipeline/dag.py", ("components.*.component", "pipeline.recipe", "pipeline.placement", "kfp")),
    Rule("pipeline/detection_dag.py", ("components.*.component", "pipeline.recipe", "kfp")),
    Rule("pipeline/study_dag.py", ("components.*.component", "pipeline.dag", "pipeline.recipe", "kfp")),
    Rule("pipeline/placement.py", ("components.images", "pipeline.recipe", "pipeline.recipe_tables", "kfp")),
    Rule(
        "pipeline/compile.py",
        ("components.knobs", "pipeline.*dag", "pipeline.placement", "pipeline.recipe", "pipeline.recipe_*", "kfp"),
    ),
    Rule("pipeline/code_identity.py", ()),
    Rule("pipeline/engine/*launch*", ("pipeline.engine", "pipeline.errors", "yaml", "docker", "kubernetes")),
    Rule("pipeline/engine/docker_*", ("pipeline.engine", "pipeline.errors", "docker")),
    Rule("pipeline/engine/kubernetes_api.py", ("pipeline.engine", "pipeline.errors", "kubernetes", "urllib3", "yaml")),
    Rule("pipeline/engine/*", ("pipeline.engine", "pipeline.errors", "yaml", "croniter", "cron_descriptor")),
    Rule(
        "pipeline/server/*",
        ("pipeline.engine", "pipeline.server", "pipeline.errors", "pipeline.words", FOREIGN),
        ("kfp",),
    ),
    Rule("pipeline/images.py", ("components.images", "pipeline.errors", "docker")),
    Rule("pipeline/remote.py", ("pipeline", "components.progress", FOREIGN), ("pipeline.cli", "kfp")),
    Rule("pipeline/cli.py", ("pipeline", "components", FOREIGN)),
    Rule("pipeline/__main__.py", ("pipeline.cli",)),
    Rule("pipeline/*", ("pipeline", *LIBRARIES, *FOUNDATIONS, FOREIGN), ("pipeline.cli", "kfp")),
)


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a module imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def offences(path: str, source: str) -> list[str]:
    """What a file imports against the rules, one line each."""
    rule = next(rule for rule in RULES if fnmatchcase(path, rule.files))
    folder = path.split("/")[-2]
    allowed = [entry.replace("{step}", folder) for entry in rule.allowed]
    found = [(line, name) for line, name in imports(source) if not _is_allowed(name, allowed, rule.forbidden)]
    return [
        f"{path}:{line} imports {name}; allowed: {', '.join(allowed) or 'standard library'}" for line, name in found
    ]


def _is_allowed(name: str, allowed: list[str], forbidden: tuple[str, ...]) -> bool:
    top = name.split(".")[0]
    if top in sys.stdlib_module_names:
        return True
    if any(_covers(entry, name) for entry in forbidden):
        return False
    own = top in ("components", "pipeline") or not top
    return any(_covers(entry, name) for entry in allowed) or (FOREIGN in allowed and not own)


def _covers(entry: str, name: str) -> bool:
    """`components.*.settings` covers that module and everything in it; `components.train` all of the package."""
    return fnmatchcase(name, entry) or fnmatchcase(name, f"{entry}.*")


def sources() -> list[str]:
    files = [*ROOT.glob("components/**/*.py"), *ROOT.glob("pipeline/**/*.py")]
    return sorted(str(file.relative_to(ROOT)) for file in files)


def test_every_file_imports_only_what_its_room_may() -> None:
    found = [line for path in sources() for line in offences(path, (ROOT / path).read_text(encoding="utf-8"))]
    assert not found, "\n".join(found)


def test_the_walk_sees_the_whole_tree() -> None:
    assert {"components/train/step.py", "components/artifacts/storage.py", "pipeline/dag.py"} <= set(sources())


@pytest.mark.parametrize(
    ("path", "source", "offender"),
    [
        ("components/train/settings.py", "import numpy", "numpy"),
        ("components/train/component.py", "from components.train import step", "components.train.step"),
        ("components/train/step.py", "from components.ingest import rows", "components.ingest.rows"),
        ("components/train/step.py", "def run():\n    import kfp", "kfp"),
        ("components/train/step.py", "from pipeline.engine import store", "pipeline.engine.store"),
        ("components/train/step.py", "from . import settings", "."),
        ("components/artifacts/manifest.py", "import tensorflow as tf", "tensorflow"),
        ("components/vision/losses.py", "from components.train import rows", "components.train.rows"),
        ("components/entry.py", "import numpy", "numpy"),
        ("components/knobs.py", "from components.vision import views", "components.vision.views"),
        ("pipeline/recipe.py", "from components.train import step", "components.train.step"),
        ("pipeline/recipe.py", "import kfp", "kfp"),
        ("pipeline/dag.py", "from components.train import settings", "components.train.settings"),
        ("pipeline/engine/bad.py", "import kfp", "kfp"),
        ("pipeline/engine/bad.py", "from components import knobs", "components.knobs"),
        ("pipeline/engine/runner.py", "import docker", "docker"),
        ("pipeline/server/app.py", "from components.entry import main", "components.entry.main"),
        ("pipeline/rounds.py", "from pipeline import cli", "pipeline.cli"),
        ("pipeline/rounds.py", "from components.train import settings", "components.train.settings"),
    ],
)
def test_a_forbidden_import_is_named_with_its_file_and_line(path: str, source: str, offender: str) -> None:
    line = len(source.splitlines())
    assert [text.split(";")[0] for text in offences(path, source)] == [f"{path}:{line} imports {offender}"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("components/train/step.py", "import tensorflow\nfrom components.vision import train_loop"),
        (
            "components/train/component.py",
            "from components import declare, images\nfrom components.train import settings",
        ),
        ("pipeline/recipe.py", "from components.train import settings as train"),
        ("pipeline/dag.py", "from components.train.component import train"),
        ("pipeline/engine/launch.py", "import docker, kubernetes, yaml"),
        ("pipeline/__main__.py", "from pipeline import cli"),
    ],
)
def test_what_a_room_needs_is_allowed(path: str, source: str) -> None:
    assert offences(path, source) == []

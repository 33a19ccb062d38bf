"""Every dependency is justified in docs/dependencies.md and pinned in requirements.lock; nothing else is."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    return {re.split(r"[\[<>=~! ]", name)[0] for name in wanted}


def test_the_page_has_one_line_for_every_dependency_and_no_other():
    rows = re.findall(r"^\| ([A-Za-z][\w-]*) \|", (ROOT / "docs/dependencies.md").read_text(), re.M)
    assert sorted(set(rows) - {"package"}) == sorted(declared())
    assert len(rows) == len(set(rows))


def test_the_lock_pins_every_dependency_with_hashes():
    lock = (ROOT / "requirements.lock").read_text().lower()
    blocks = re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==[^\n]*\\\n    --hash", lock, re.M)
    assert {name.lower() for name in declared()} - set(blocks) == set()


def test_the_changelog_knows_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_images_are_tagged_with_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'TAG = "{version}"' in (ROOT / "components/images.py").read_text()

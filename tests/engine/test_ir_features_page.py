"""docs/ir-features.md: every row names tests that exist, and every test of a feature has a row."""

import ast
import re
from pathlib import Path

import pytest

ENGINE = Path(__file__).parent
PAGE = (ENGINE.parents[1] / "docs/ir-features.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<feature>[^|]+) \| (?P<here>[^|]+) \| (?P<kfp>[^|]+) \| (?P<local>[^|]+) \| (?P<tests>[^|]+) \|$"
)
NAMED = re.compile(r"`(\w+)::(\w+)`")


def rows() -> list[dict[str, str]]:
    matches = [ROW.match(line) for line in PAGE.splitlines()]
    return [m.groupdict() for m in matches if m and m["feature"].strip("- ") not in ("", "feature")]


def names_in(module: str) -> set[str]:
    tree = ast.parse((ENGINE / f"{module}.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["feature"])
def test_every_feature_of_the_page_has_a_test(row: dict[str, str]) -> None:
    named = NAMED.findall(row["tests"])
    assert named, f"{row['feature']} names no test"
    assert not [name for module, name in named if name not in names_in(module)]


@pytest.mark.parametrize("module", ["test_ir_features", "test_ir_features_artifacts", "test_against_kfp_local"])
def test_every_feature_that_has_a_test_is_on_the_page(module: str) -> None:
    named = {name for row in rows() for place, name in NAMED.findall(row["tests"]) if place == module}
    assert names_in(module) == named

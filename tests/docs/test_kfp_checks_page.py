"""The page of checks names every check, its function, and every fault that the tests plant."""

from pathlib import Path

import pytest

from pipeline import ir_checks
from tests.dag.test_ir_checks import PLANTS
from tests.dag.test_ir_of_every_recipe import FAULTS

PAGE = (Path(__file__).parents[2] / "docs" / "kfp-checks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", ir_checks.CHECKS)
def test_a_row_names_the_check_its_function_and_its_planted_faults(number: int) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {number} |"))
    faults = "; ".join(fault for of, fault, _ in PLANTS if of == number)
    assert row.endswith(f"| `{ir_checks.CHECKS[number].__name__}` | {faults} |")


@pytest.mark.parametrize("fault", FAULTS)
def test_the_faults_against_our_own_rules_are_on_the_page(fault: str) -> None:
    assert fault in PAGE

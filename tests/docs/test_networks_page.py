"""docs/networks.md: the sizes in its table, and every option with all its values."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from components.vision import complexity, network
from components.vision import model as models

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
SIZES = re.findall(r"^\| `(\w+)` \| (\d+) \| ([\d,]+) \| ([\d.]+) \|", PAGE, re.MULTILINE)


def test_every_network_is_in_the_table() -> None:
    assert {name for name, *_ in SIZES} == set(network.ZOO)


@pytest.mark.parametrize(("name", "side", "parameters", "mega_flops"), SIZES)
def test_the_sizes_are_true(name: str, side: str, parameters: str, mega_flops: str) -> None:
    model = models.build(name, int(side), 10)
    assert (f"{model.count_params():,}", f"{complexity.flops(model) / 1e6:.1f}") == (parameters, mega_flops)


@pytest.mark.parametrize("field", fields(network.Network), ids=lambda field: field.name)
def test_every_option_is_described_with_its_values_and_its_default(field) -> None:
    row = re.search(rf"^\| `{field.name}` \| (.*) \|(.*)\|$", PAGE, re.MULTILINE)
    assert row, f"docs/networks.md does not describe {field.name}"
    assert all(f"`{choice}`" in row[1] for choice in field.metadata["choices"])
    default = getattr(network.ZOO["lean_17k"], field.name)
    assert field.name == "stages" or row[2].strip().strip("`") == (f"{default:g}" if default == 0 else str(default))

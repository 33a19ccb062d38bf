"""Compiled recipes, shared by the tests of the pipeline's shape."""

from collections.abc import Callable

import pytest

from pipeline import compile as compiler
from pipeline import recipe

RECIPES = ("demo", "fashion_mnist", "fashionai")


@pytest.fixture(scope="session")
def compiled() -> Callable[..., str]:
    """Compiles a packaged recipe with overrides, each combination once."""
    known: dict[tuple[str, ...], str] = {}

    def compiled(name: str, *overrides: str) -> str:
        key = (name, *overrides)
        if key not in known:
            known[key] = compiler.compile_recipe(recipe.load(name, overrides))
        return known[key]

    return compiled

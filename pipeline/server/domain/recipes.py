"""Recipes: what can be started, with a typed form."""

from typing import Protocol


class Recipes(Protocol):
    """Recipes: what can be started, with a typed form."""

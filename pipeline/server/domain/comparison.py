"""Runs side by side: metrics with paired intervals, curves, pictures whose verdict changed."""

from typing import Protocol


class Comparison(Protocol):
    """Runs side by side: metrics with paired intervals, curves, pictures whose verdict changed."""

"""Rounds of data: what landed, what was rejected, what it launched."""

from typing import Protocol


class Rounds(Protocol):
    """Rounds of data: what landed, what was rejected, what it launched."""

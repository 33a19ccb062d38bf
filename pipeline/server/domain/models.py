"""Champions of each attribute and their history."""

from typing import Protocol


class Models(Protocol):
    """Champions of each attribute and their history."""

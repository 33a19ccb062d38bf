"""One picture through rounds, folds, views, pseudo-labels and votes."""

from typing import Protocol


class Pictures(Protocol):
    """One picture through rounds, folds, views, pseudo-labels and votes."""

"""Implements pipeline.server.domain.results."""

from pathlib import Path

from pipeline.engine.reader import Reader
from pipeline.engine.records import Run
from pipeline.server.domain.results import Board, Score


class LocalResults:
    """See pipeline.server.domain.results.Results."""

    def headline(self, reader: Reader, run: Run) -> Score | None:
        """See Results."""
        return None

    def report(self, reader: Reader, run: Run) -> Path | None:
        """See Results."""
        return None

    def board(self, reader: Reader, run: Run) -> Board | None:
        """See Results."""
        return None

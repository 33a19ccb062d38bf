"""Implements pipeline.server.domain.comparison."""


class LocalComparison:
    """See pipeline.server.domain.comparison.Comparison."""

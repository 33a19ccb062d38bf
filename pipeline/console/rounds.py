"""Implements pipeline.server.domain.rounds."""


class LocalRounds:
    """See pipeline.server.domain.rounds.Rounds."""

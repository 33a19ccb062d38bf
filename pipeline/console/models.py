"""Implements pipeline.server.domain.models."""


class LocalModels:
    """See pipeline.server.domain.models.Models."""

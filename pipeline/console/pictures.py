"""Implements pipeline.server.domain.pictures."""


class LocalPictures:
    """See pipeline.server.domain.pictures.Pictures."""

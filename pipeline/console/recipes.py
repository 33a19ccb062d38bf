"""Implements pipeline.server.domain.recipes."""


class LocalRecipes:
    """See pipeline.server.domain.recipes.Recipes."""

"""Recipes: one run's whole configuration, from TOML, options and defaults."""

from flows.recipe.recipe import Recipe, from_dict

__all__ = ["Recipe", "from_dict"]

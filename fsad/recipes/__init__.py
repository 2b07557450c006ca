"""Each paper, and what we add, as one file that reads like a method section and returns a `Recipe`."""

from fsad.recipes import livieris, patches, senarathna, takimoto
from fsad.recipes.recipe import Recipe

__all__ = ["RECIPES", "Recipe", "livieris", "patches", "senarathna", "takimoto"]

RECIPES = {
    "patches": patches.build,
    "senarathna": senarathna.build,
    "takimoto": takimoto.build,
    "livieris": livieris.build,
}

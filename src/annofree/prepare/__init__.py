"""From a study as it was stored to a scan as a method wants it, and back.

`Recipe()` is the whole way as a visible list of steps; each step is one small object in a file of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from annofree.prepare.recipe import Recipe as Recipe

__all__ = ["Recipe"]


def __getattr__(name: str) -> Any:
    """Load the recipe when it is first used."""
    if name != "Recipe":
        raise AttributeError(f"module 'annofree.prepare' has no attribute '{name}'")
    from annofree.prepare.recipe import Recipe

    return Recipe

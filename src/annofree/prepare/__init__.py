"""From a study as it was stored to a scan as a method wants it, and back.

`Recipe()` is the whole way as a visible list of steps; each step is one small object in a file of its own. The room
itself is the verb: `annofree.prepare("patient/")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from annofree.registry import callable_room

if TYPE_CHECKING:
    from annofree.prepare.recipe import Recipe as Recipe
    from annofree.scan import Scan

__all__ = ["Recipe", "prepare"]


def __getattr__(name: str) -> Any:
    """Load the recipe when it is first used."""
    if name != "Recipe":
        raise AttributeError(f"module 'annofree.prepare' has no attribute '{name}'")
    from annofree.prepare.recipe import Recipe

    return Recipe


def prepare(source: Any, *, brain_mask: Any = None, **settings: Any) -> Scan:
    """Open a scan as `open_scan` does, preparing it where it shows a skull or has sequences on grids of their own.

    Settings are those of `Recipe`.

    Raises:
        AnnofreeError: It cannot be prepared; the sentence names the step, its number and what to do.
    """
    from annofree.formats import open_scan
    from annofree.prepare.recipe import Recipe

    return open_scan(source, brain_mask=brain_mask, prepare=Recipe(**settings))


callable_room(__name__, prepare)

"""Whether left and right are known."""

from __future__ import annotations

from annofree.trust.check import Check
from annofree.trust.view import View

#: What readers note of a file that does not say where its axes point.
_DOUBTS = ("states no orientation",)


def sides(view: View) -> Check:
    """Remarks of reading that leave left and right open: a brain's image alone does not tell them."""
    found = [note for note in view.scan.notes if any(doubt in note for doubt in _DOUBTS)]
    return Check.measured(
        "left and right",
        len(found),
        (0, 0),
        "files whose header does not say where left is",
        "the header does not say where left and right are, and no image of a brain can: the sides of findings may be "
        "the wrong way round",
    )

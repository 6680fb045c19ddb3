"""Whether the brain lies the way its header says, upright and nose to the front; and whether left is known."""

from __future__ import annotations

from math import inf

import numpy as np

from annofree.anatomy.align import PREFERRED, register_to_mni
from annofree.scan import Scan
from annofree.trust.check import Check
from annofree.trust.view import View

#: Axes that are turned round, and how a brain lies that fits better so.
_TURNS = {(2,): "upside down", (1,): "back to front", (1, 2): "upside down and back to front"}
#: Gain in overlap with the template's brain (21 turned scans: 0.07 and more; 49 real scans fit as they lie).
LEAST_GAIN = 0.03


def upright(view: View) -> Check:
    """How much better the brain fits the template turned round, where it does not fit as it lies.

    Left and right cannot be told so: a brain's mirror image fits as well.
    """
    given = view.alignment
    best, how = 0.0, "upside down"
    for axes, words in _TURNS.items() if not given.trusted else ():
        turned = register_to_mni(_turned(view.scan, axes))
        if turned.trusted and (gain := turned.overlap - given.overlap) > best:
            best, how = gain, words
    return Check.measured(
        "upright",
        best,
        (-inf, LEAST_GAIN),
        "overlap with the template's brain that is gained by turning the brain round, 0..1",
        f"the brain seems to lie {how}: the header's orientation, or the brain mask, is likely to be turned; sides and "
        "lobes cannot be relied on",
    )


def _turned(scan: Scan, axes: tuple[int, ...]) -> Scan:
    name = next(sequence for sequence in PREFERRED if sequence in scan.images)
    brain = np.flip(scan.foreground(), axes)
    return scan.replace(images={name: np.flip(scan.images[name], axes)}, brain=np.ascontiguousarray(brain))


def sides(view: View) -> Check:
    """Remarks of reading that leave left and right open: a brain's image alone does not tell them."""
    found = [note for note in view.scan.notes if "states no orientation" in note]
    return Check.measured(
        "left and right",
        len(found),
        (0, 0),
        "files whose header does not say where left is",
        "the header does not say where left and right are, and no image of a brain can: the sides of findings may be "
        "the wrong way round",
    )

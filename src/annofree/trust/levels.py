"""Whether the grey levels are those of MRI of a brain: CT, inverted images, noise."""

from __future__ import annotations

from math import inf

import numpy as np

from annofree.scan import Modality
from annofree.trust.check import Check
from annofree.trust.view import View

#: Air in CT, HU.
AIR_HU = -900.0
#: Median of brain tissue in CT, HU, and the width of its middle 98 %: MRI of so low a level has more contrast.
BRAIN_HU = (15.0, 50.0)
MOST_WIDTH_HU = 60.0
#: Range of a shape of the grey levels, per sequence: unlabelled patients, tumour-free scans and phantoms.
Range = tuple[float, float]
TAIL: dict[Modality, Range] = {
    Modality.T1: (-1.9, 0.4),
    Modality.T1C: (-1.9, 1.2),
    Modality.T2: (0.0, 2.6),
    Modality.FLAIR: (-1.3, 1.9),
}


def constant(view: View) -> Check:
    """How many sequences show nothing: one level in nearly all of the brain."""
    spreads = {name: np.ptp(np.percentile(image[view.brain], (1, 99))) for name, image in view.images.items()}
    empty = [str(name) for name, spread in spreads.items() if spread == 0]
    return Check.measured(
        "constant",
        len(empty),
        (-inf, 0),
        "sequences with one level in nearly all of the brain",
        f"{' and '.join(empty)} {'has' if len(empty) == 1 else 'have'} one level in nearly all of the brain: the image "
        "is empty; export it again",
    )


def hounsfield(view: View) -> Check:
    """How many sequences hold Hounsfield units: air at -1000, or brain at 15 to 50 with less than nothing beside it."""
    found = 0
    for image in view.images.values():
        inside = image[view.brain]
        low, middle, high = np.percentile(inside, (1, 50, 99))
        if low == high:
            continue  # empty, whatever the level is
        outside = image[~view.brain]
        air = outside.size > 0 and float(np.median(outside)) <= AIR_HU
        brain = BRAIN_HU[0] <= middle <= BRAIN_HU[1] and high - low <= MOST_WIDTH_HU
        found += bool(air or (brain and float(inside.min()) < 0))
    return Check.measured(
        "CT",
        found,
        (-inf, 0),
        "sequences with the grey levels of CT",
        "grey levels are Hounsfield units, as in CT; annofree reads MRI, give the MRI of the same visit",
    )


def contrast_range(view: View) -> Check:
    """How far the grey levels' shape lies outside what brains of that sequence show."""
    worst, where = 0.0, next(iter(view.images))
    for sequence in view.images:
        tail = view.tail(view.images[sequence])
        least, most = TAIL[sequence]
        if (excess := max(least - tail, tail - most)) > worst:
            worst, where = excess, sequence
    return Check.measured(
        "contrast",
        worst,
        (-inf, 0.0),
        "how far the logarithm of bright over dark tail lies outside its usual range, worst sequence",
        f"{where} does not have the contrast of a brain in {where}: another sequence, inverted grey levels, or an "
        "image far from what the models learned",
    )

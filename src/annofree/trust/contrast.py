"""Whether each sequence is what its name says: contrast medium in T1C, dark fluid in FLAIR, bright fluid in T2."""

from __future__ import annotations

from itertools import combinations
from math import inf

import numpy as np

from annofree.scan import Modality
from annofree.trust.check import Check
from annofree.trust.view import View

#: Rank correlation of two sequences (63 right scans: 0.92 and less, T1 and T1C; a copy with other grey levels: 1.00).
MOST_ALIKE = 0.98
#: Part of the deep brain that is darkest in T1 and so, by all that is usual, fluid.
FLUID_SHARE = 0.04
#: Balance of the tails of T1C minus T1 below which the names are swapped (55 real and 30 made scans: 0.1 and more).
LEAST_ENHANCEMENT = -0.4
#: Rank of fluid among deep voxels (55 real scans: 0.59 and more in T2, 0.48 and less in FLAIR).
LEAST_T2_RANK = 0.5
MOST_FLAIR_RANK = 0.55
#: Logarithm of the bright over the dark tail of T2 (0.4 and more in 35 real scans), where there is no T1 to find fluid.
LEAST_T2_TAIL = 0.15


def enhancement(view: View) -> Check | None:
    """Vessels and plexus are brighter with contrast medium whatever else is: T1C minus T1 has a bright tail."""
    if not {Modality.T1, Modality.T1C} <= view.images.keys():
        return None
    change = view.levels(Modality.T1C)[view.brain] - view.levels(Modality.T1)[view.brain]
    low, below, middle, above, high = np.percentile(change, (0.5, 16, 50, 84, 99.5))
    return Check.measured(
        "enhancement",
        float((high + low - 2 * middle) / max(above - below, 1e-6)),
        (LEAST_ENHANCEMENT, inf),
        "bright less dark tail of T1C minus T1, in spreads of the difference",
        "T1 enhances against T1C: their names seem to be swapped; check which scan was made after contrast medium",
    )


def same_image(view: View) -> Check | None:
    """Two names for one image: a copy, or a sequence exported twice; ranks tell it whatever was done to grey levels."""
    inside = {name: image[view.brain] for name, image in view.images.items()}
    ranks = {name: np.searchsorted(np.sort(levels), levels) for name, levels in inside.items() if levels.std()}
    alike = {(a, b): float(np.corrcoef(ranks[a], ranks[b])[0, 1]) for a, b in combinations(ranks, 2)}
    if not alike:
        return None
    first, second = max(alike, key=lambda pair: alike[pair])
    return Check.measured(
        "same image",
        alike[first, second],
        (-inf, MOST_ALIKE),
        "largest rank correlation between two sequences",
        f"{first} and {second} hold the same image: one of the two files is not what its name says",
    )


def fluid_in_flair(view: View) -> Check | None:
    """Fluid, found as what is darkest in T1, is dark in FLAIR too."""
    rank = _fluid_rank(view, Modality.FLAIR)
    if rank is None:
        return None
    return Check.measured(
        "fluid in FLAIR",
        rank,
        (-inf, MOST_FLAIR_RANK),
        "rank of fluid among the deep voxels of FLAIR, 0 darkest and 1 brightest",
        "fluid is bright in FLAIR, as in T2: FLAIR and T2 may be swapped, or T1 is not a T1; check the names",
    )


def fluid_in_t2(view: View) -> Check | None:
    """Fluid is bright in T2; without a T1 to find it, T2 has a bright tail at least."""
    if Modality.T2 not in view.images:
        return None
    rank = _fluid_rank(view, Modality.T2)
    what = "fluid is not bright in T2, as in FLAIR: T2 and FLAIR may be swapped, or T1 is not a T1; check the names"
    value, least = rank, LEAST_T2_RANK
    meaning = "rank of fluid among the deep voxels of T2, 0 darkest and 1 brightest"
    if value is None:
        value, least = view.tail(view.levels(Modality.T2)), LEAST_T2_TAIL
        meaning = "logarithm of the bright over the dark tail of T2"
    return Check.measured("fluid in T2", value, (least, inf), meaning, what)


def _fluid_rank(view: View, sequence: Modality) -> float | None:
    anatomy = next((name for name in (Modality.T1, Modality.T1C) if name in view.images), None)
    if anatomy is None or sequence not in view.images:
        return None
    reference = view.images[anatomy][view.deep]
    levels = view.images[sequence][view.deep]
    fluid = levels[reference <= np.quantile(reference, FLUID_SHARE)]
    return float(np.median(np.searchsorted(np.sort(levels), fluid) / levels.size))

"""Whether all sequences show one head at one place: they share fine structure, and more of it than with a mirror image.

Brains of two persons laid on each other share what is coarse, and so does a brain with its mirror image. What a
sequence tells about the others beyond what its mirror image tells is this head's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import inf

import numpy as np
from numpy.typing import NDArray

from annofree.masks import SmoothingInside
from annofree.scan import Modality
from annofree.trust.check import Check
from annofree.trust.view import View

#: Nats (38 right real scans: 0.015 and more, with noise of 10 % in each voxel 0.012; of another person: below in 97 of
#: 100).
LEAST_OWN = 0.009
#: Below this the mirror image fits better by far (another person's: never; mirrored: 64 of 65).
MIRRORED = -0.02
#: What is coarser than this is alike in all heads; what is nearer to the surface is an error of a brain mask, mm.
_FINE_MM, _BELOW_MM = 6.0, 4.0
#: Grey levels are told apart by so many ranks.
_RANKS = 12
#: The midline may lie so many thinned voxels beside the brain's middle.
_OFF = (-2, -1, 0, 1, 2)
#: Fewer voxels say nothing.
_FEWEST = 1000

Shared = dict[frozenset[Modality], float]


def one_head(view: View) -> Check | None:
    """What the sequences that fit the others least tell about them, beyond what their mirror image tells."""
    return least_shared(view.averaged)


def least_shared(view: View) -> Check | None:
    """The same, read in the images of the view as they are."""
    inside = view.depth_mm > _BELOW_MM
    if len(view.images) < 2 or np.count_nonzero(inside) < _FEWEST:
        return None
    as_they_lie, turned = _shared(view, inside)
    number, apart = inf, frozenset(view.images)
    for group in _groups(tuple(view.images)):
        across = [pair for pair in as_they_lie if len(pair & group) == 1]
        own = max(as_they_lie[pair] for pair in across) - max(turned[pair] for pair in across)
        if own < number:
            number, apart = own, group
    these, others = (" and ".join(n for n in view.images if (n in apart) is there) for there in (True, False))
    others = "the other sequences" if len(view.images) - len(apart) > 2 else others
    warning = (
        f"the fine structure of {these} is not that of {others}: it is another person's, or lies a centimetre or more "
        "elsewhere; look at them side by side, and check files and headers"
    )
    if number < MIRRORED:
        warning = (
            f"the mirror image of {these} fits {others} better than what was given: left and right are exchanged in a "
            "file or its header, or one lies too far to one side; findings mix both sides, so export it again"
        )
    return Check.measured(
        "one head",
        number,
        (LEAST_OWN, inf),
        "nats of fine structure that sequences share beyond those with a mirror image, where they share least",
        warning,
    )


def _groups(names: tuple[Modality, ...]) -> Iterator[frozenset[Modality]]:
    """Every way to set some sequences apart from the others; the smaller part of each, or one of two halves."""
    for size in range(1, len(names) // 2 + 1):
        for group in combinations(names, size):
            if 2 * size < len(names) or names[-1] in group:
                yield frozenset(group)


def _shared(view: View, inside: NDArray[np.bool_]) -> tuple[Shared, Shared]:
    """Nats for each pair of sequences, as they lie and with one of the two mirrored."""
    ranks = _ranks(view, inside)
    pairs = [frozenset(pair) for pair in combinations(ranks, 2)]
    as_they_lie = dict(zip(pairs, _nats({name: rank[inside] for name, rank in ranks.items()}), strict=True))
    across = np.flatnonzero(view.brain.any(axis=(1, 2)))
    place, turned = np.arange(view.brain.shape[0]), []
    for off in _OFF:
        turn = np.clip(across[0] + across[-1] + off - place, 0, place.size - 1)
        there = inside & inside[turn]
        given = {name: rank[there] for name, rank in ranks.items()}
        turned.append(_nats(given, {name: rank[turn][there] for name, rank in ranks.items()}))
    return as_they_lie, dict(zip(pairs, map(max, zip(*turned, strict=True)), strict=True))


def _ranks(view: View, inside: NDArray[np.bool_]) -> dict[Modality, NDArray[np.int16]]:
    """The rank (X, Y, Z), in twelfths, of each voxel's difference to its surroundings in the brain."""
    smooth = SmoothingInside(view.brain, _FINE_MM, view.grid.spacing_mm, least=0.05)
    steps, found = np.arange(1, _RANKS) / _RANKS, {}
    for name, image in view.images.items():
        own = image - np.float32(np.median(image[view.brain]))
        fine = (own - smooth(own))[inside]
        found[name] = np.zeros(inside.shape, np.int16)
        found[name][inside] = np.searchsorted(np.quantile(fine, steps), fine)
    return found


def _nats(
    given: dict[Modality, NDArray[np.int16]], second: dict[Modality, NDArray[np.int16]] | None = None
) -> list[float]:
    """Mutual information of each pair of sequences' ranks, less what chance gives."""
    found = []
    for a, b in combinations(given, 2):
        first, other = given[a], (second or given)[b]
        if not first.size:
            found.append(0.0)
            continue
        both = np.bincount(first * _RANKS + other, minlength=_RANKS**2).reshape(_RANKS, _RANKS) / first.size
        apart = both.sum(axis=1, keepdims=True) * both.sum(axis=0, keepdims=True)
        seen = both > 0
        chance = (_RANKS - 1) ** 2 / (2 * first.size)
        found.append(float((both[seen] * np.log(both[seen] / apart[seen])).sum()) - chance)
    return found

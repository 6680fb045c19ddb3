"""Whether each sequence orders the tissues as its name says, by itself and whatever the other files are called.

White matter is brighter than grey in T1, darker in T2, and hardly different in FLAIR; fluid is dark in T1 and FLAIR and
bright in T2. Grey against white is read block by block, where the template says which is where, so that neither slow
shading nor a tumour decides; the shape of the grey levels tells the rest. Linear discriminants weigh the four numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.anatomy.template import tissue_maps
from annofree.grid import apply_affine
from annofree.masks import SmoothingInside, bounding_box, margin_for
from annofree.scan import Modality
from annofree.trust.check import Check
from annofree.trust.view import View

#: Edge of a block, mm, the fewest voxels in it, and how far grey and white have to vary there.
_BLOCK_MM = 20.0
_FEWEST = 60
_LEAST_SPREAD = 0.12
#: Nearer to the surface than this a voxel may be half fluid, mm.
_RIM_MM = 4.0
#: What is wider than this is shading, mm (standard deviation of a Gaussian).
_SHADING_MM = 4.0


class Measures(NamedTuple):
    """What one image shows; none of it depends on scale or zero of its grey levels.

    Attributes:
        low: Lower quartile less the median of the deep brain, in distances from the tenth to the ninetieth percentile.
        high: Upper quartile less the median, in the same.
        skew: Skewness of fine structure, -1..1: negative where what is small is dark.
        grey_white: Rank of grey matter less that of white, median over blocks, -1..1.
    """

    low: float
    high: float
    skew: float
    grey_white: float


class Discriminant(NamedTuple):
    """Which of two contrasts an image has: the sign of `weights` times its measures plus `offset`.

    Attributes:
        weights: One a measure.
        offset: Added; above 0 the second contrast is the likelier one.
        limits: Below the first an image called the second is warned of, above the second one called the first.
    """

    weights: tuple[float, float, float, float]
    offset: float
    limits: tuple[float, float]

    def score(self, measures: Measures) -> float:
        """How much likelier the second contrast is (natural logarithm of the odds, as for normal distributions)."""
        return float(np.dot(self.weights, measures)) + self.offset


_T1, _T2, _FLAIR = Modality.T1, Modality.T2, Modality.FLAIR
#: Fitted to images by their names (no mask): `python benchmarks/table_trust.py names ../shared/data`.
DISCRIMINANTS: dict[tuple[Modality, Modality], Discriminant] = {
    (_T1, _T2): Discriminant((112.54, 35.17, 19.83, 68.96), 14.20, (-2.0, 2.0)),
    (_T1, _FLAIR): Discriminant((53.66, -38.53, -5.38, 41.86), 23.80, (-2.3, 4.9)),
    (_T2, _FLAIR): Discriminant((23.04, -25.29, -50.59, 2.55), 15.86, (-3.6, 2.0)),
}
_LOOKS = {
    _T1: "white matter is brighter than grey and fluid dark",
    _T2: "fluid is bright and white matter darker than grey",
    _FLAIR: "fluid is dark and white matter no brighter than grey",
}


def tissue_order(view: View) -> Check | None:
    """The image that looks most like another sequence than its name says, and which."""
    found = measure(view)
    if found is None:
        return None
    excess, name, other = max(
        (excess, name, other) for name, measures in found.items() for other, excess in looks_like(name, measures)
    )
    contrast = "T1 or T1C" if other == _T1 else other
    return Check.measured(
        "tissue order",
        excess,
        (-inf, 0.0),
        f"how far {name} lies on the side of {contrast}, beyond any image known to be {name} (logarithm of odds)",
        f"{name} looks like {contrast} ({_LOOKS[other]}): the file is not what its name or --sequence says, or two "
        "sequences are swapped; check the names",
    )


def looks_like(
    name: Modality, measures: Measures, rules: Mapping[tuple[Modality, Modality], Discriminant] | None = None
) -> list[tuple[Modality, float]]:
    """Each other contrast with how far beyond the limit an image of this name lies on its side; below 0 is usual."""
    own = _T1 if name == Modality.T1C else name
    found = []
    for (first, second), rule in (DISCRIMINANTS if rules is None else rules).items():
        score, (least, most) = rule.score(measures), rule.limits
        if own == first:
            found.append((second, score - most))
        elif own == second:
            found.append((first, least - score))
    return found


def measure(view: View) -> dict[Modality, Measures] | None:
    """The measures of every image; None where the brain does not lie as the template does."""
    if not view.alignment.trusted:
        return None
    blocks = _Blocks.of(view)
    if blocks is None:
        return None
    # further from the brain than the smoothing reaches there is nothing to smooth
    box = bounding_box(view.brain, margin_for(4 * _SHADING_MM, view.grid.spacing_mm))
    assert box is not None
    brain, deep = view.brain[box], view.deep[box]
    smooth = SmoothingInside(brain, _SHADING_MM, view.grid.spacing_mm, least=1e-3)
    found = {}
    for name, whole in view.images.items():
        image = whole[box]
        low, quarter, middle, upper, high = np.percentile(image[deep], (10, 25, 50, 75, 90))
        width = max(float(high - low), 1e-12)
        level = np.clip((image - middle) / width, -3, 3).astype(np.float32)
        fine = (level - smooth(level))[deep]
        dark, usual, bright = np.percentile(fine, (2, 50, 98))
        skew = float(bright + dark - 2 * usual) / max(float(bright - dark), 1e-12)
        low, high = float(quarter - middle) / width, float(upper - middle) / width
        found[name] = Measures(low, high, skew, blocks.grey_white(image[brain]))
    return found


class _Blocks(NamedTuple):
    """Voxels of the brain by block, with what the template holds there: least squares of all blocks at once."""

    used: NDArray[np.bool_]
    block: NDArray[np.intp]
    tissues: NDArray[np.float64]
    inverses: NDArray[np.float64]

    @classmethod
    def of(cls, view: View) -> _Blocks | None:
        """The blocks in which grey and white both vary; None where there is none."""
        maps, maps_affine = tissue_maps()
        places = np.argwhere(view.brain)
        mm = apply_affine(view.alignment.affine @ view.grid.affine, places)
        where = apply_affine(np.linalg.inv(maps_affine), mm).T
        tissues = np.stack([ndimage.map_coordinates(m, where, order=1) for m in maps], axis=1).astype(np.float64)
        used = (tissues.sum(axis=1) > 0.5) & (view.depth_mm[view.brain] > _RIM_MM)
        tissues = tissues[used]
        if not len(tissues):
            return None
        cell = np.floor(mm[used] / _BLOCK_MM).astype(int)
        cell -= cell.min(axis=0)
        _, block = np.unique(np.ravel_multi_index(tuple(cell.T), cell.max(axis=0) + 1), return_inverse=True)
        count = np.bincount(block).astype(float)
        products = np.stack([_sums(tissues * tissues[:, [k]], block) for k in range(3)], axis=1)
        mean = _sums(tissues, block) / count[:, None]
        spread = np.sqrt(np.maximum(np.diagonal(products, axis1=1, axis2=2) / count[:, None] - mean**2, 0))
        good = (count >= _FEWEST) & (spread[:, :2] >= _LEAST_SPREAD).all(axis=1)
        if not good.any():
            return None
        ridge = 1e-3 * np.eye(3)
        kept = good[block]
        used[np.flatnonzero(used)[~kept]] = False
        number = np.cumsum(good) - 1
        return cls(used, number[block[kept]], tissues[kept], np.linalg.inv(products[good] + ridge))

    def grey_white(self, values: NDArray[np.float32]) -> float:
        """Median over the blocks of the rank of grey matter less that of white.

        The values are the image's inside the brain.
        """
        ranks = np.searchsorted(np.sort(values), values)[self.used] / values.size
        sums = _sums(self.tissues * ranks[:, None], self.block)
        grey, white, _ = np.einsum("bij,bj->ib", self.inverses, sums)
        return float(np.median(grey - white))


def _sums(columns: NDArray[np.float64], block: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.stack([np.bincount(block, weights=column) for column in columns.T], axis=1)

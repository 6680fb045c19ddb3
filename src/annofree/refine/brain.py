"""Keep findings inside the brain, and away from its rim."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from annofree.masks import Mask, bounding_box
from annofree.refine.base import RefineContext, Refiner
from annofree.refine.holes import fill_holes


class ErodedBrain(Refiner):
    """Keep what lies inside the brain, its holes filled and its rim taken off.

    The rim is measured as city-block distance in mm, so that on a grid of 1 mm the result is exactly that many
    erosions with the 6-neighbour cross, and on any other grid the same shape in mm.

    Attributes:
        mm: Width of the rim that is taken off.
    """

    kind: ClassVar[str] = "eroded-brain"
    main: ClassVar[tuple[str, ...]] = ("mm",)

    mm: float = Field(default=3.0, ge=0.0)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The part of the mask inside the eroded brain."""
        return mask & eroded(fill_holes(context.brain), self.mm, context.spacing_mm)


def eroded(mask: Mask, mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """Voxels further than `mm` in city-block distance from everything outside; the array's edge is outside too."""
    result = np.zeros(mask.shape, dtype=bool)
    box = bounding_box(mask)
    if box is None:
        return result
    inside = np.pad(mask[box], 1)
    if np.ptp(spacing_mm) <= 1e-4 * min(spacing_mm):
        distance = ndimage.distance_transform_cdt(inside, metric="taxicab").astype(np.float32) * np.float32(
            spacing_mm[0]
        )
    else:
        distance = _city_block_mm(inside, spacing_mm)
    result[box] = (distance > mm + 1e-3 * min(spacing_mm))[1:-1, 1:-1, 1:-1]
    return result


def _city_block_mm(inside: Mask, spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """City-block distance in mm to the nearest voxel outside: a lower envelope of cones, one axis after the other."""
    far = np.float32(sum(n * step for n, step in zip(inside.shape, spacing_mm, strict=True)))
    distance: NDArray[np.float32] = np.where(inside, far, np.float32(0))
    for axis, step in enumerate(spacing_mm):
        shape = [1, 1, 1]
        shape[axis] = -1
        ramp = (np.arange(inside.shape[axis], dtype=np.float32) * np.float32(step)).reshape(shape)
        ahead = np.minimum.accumulate(distance - ramp, axis=axis) + ramp
        behind = np.flip(np.minimum.accumulate(np.flip(distance + ramp, axis), axis=axis), axis) - ramp
        distance = np.minimum(ahead, behind)
    return distance

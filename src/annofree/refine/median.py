"""The majority of a voxel's neighbourhood: takes off specks and closes pinholes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator
from scipy import ndimage

from annofree.masks import Mask, bounding_box
from annofree.refine.base import RefineContext, Refiner


class Median(Refiner):
    """Median filter of the mask; outside the array counts as background.

    Attributes:
        size: Edge of the cube of voxels, odd.
        axial: Use a square within the axial slice instead of the cube.
    """

    kind: ClassVar[str] = "median"
    main: ClassVar[tuple[str, ...]] = ("size",)

    size: int = Field(default=3, ge=1)
    axial: bool = False

    @field_validator("size")
    @classmethod
    def _odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError("the size must be odd, so that a voxel has a middle")
        return size

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The voxels most of whose neighbourhood is in the mask, inside the brain or the mask."""
        result = np.zeros(mask.shape, dtype=bool)
        half = self.size // 2
        box = bounding_box(mask, (half, half, 0 if self.axial else half))
        if box is None:
            return result
        count = mask[box].astype(np.int32)
        axes = (0, 1) if self.axial else (0, 1, 2)
        for axis in axes:
            count = ndimage.correlate1d(count, np.ones(self.size, np.int32), axis=axis, mode="constant")
        result[box] = (2 * count > self.size ** len(axes)) & (context.brain[box] | mask[box])
        return result

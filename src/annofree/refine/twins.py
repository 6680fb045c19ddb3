"""Drop what has a twin on the other side: a tumour has none, white-matter hyperintensities mostly do."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from annofree.refine.base import Mask, RefineContext, Refiner

_CONNECT_26 = np.ones((3, 3, 3), dtype=bool)


class Twins(Refiner):
    """Drops components that meet *another* component when they are mirrored across the brain's midsagittal plane.

    Confluent white-matter hyperintensities, and fat and muscle that a brain mask left in, lie on both sides; gliomas
    lie on one, and those that cross the corpus callosum are one component, which cannot be its own twin. A tumour
    whose mirror image merely contains a small island stays: what counts is the share of the component's own voxels.

    Attributes:
        share: Share of a component's mirrored voxels that must lie near another component for it to be dropped.
        reach_mm: How near; hyperintensities are symmetric to about this.
        max_ml: Larger components always stay.
    """

    kind: ClassVar[str] = "twins"
    needs_images: ClassVar[bool] = True

    share: float = Field(0.5, gt=0, le=1)
    reach_mm: float = Field(6.0, ge=0)
    max_ml: float = Field(30.0, gt=0)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The mask without twins; unchanged, with a note, where there are no images to find the midline with."""
        parts, count = ndimage.label(mask, structure=_CONNECT_26)
        if count < 2:
            return mask.copy()
        if not context.images:
            context.notes.append("twins skipped: no images to find the midline with")
            return mask.copy()
        from annofree.anatomy import midsagittal_plane

        image = next(iter(context.images.values()))
        plane = midsagittal_plane(image[None], context.brain, context.spacing_mm)
        matrix = plane.reflection(context.spacing_mm)
        sizes = np.bincount(parts.ravel())
        dropped = [
            part
            for part in range(1, count + 1)
            if sizes[part] * context.voxel_ml <= self.max_ml and self._has_twin(part, parts, matrix, context)
        ]
        return mask & ~np.isin(parts, dropped)

    def _has_twin(
        self, part: int, parts: NDArray[np.int32], matrix: NDArray[np.float64], context: RefineContext
    ) -> bool:
        """Whether enough of a component's mirror image lies within reach of the others."""
        own = np.argwhere(parts == part)
        opposite = own @ matrix[:3, :3].T + matrix[:3, 3]
        reach = np.asarray([self.reach_mm / step for step in context.spacing_mm])
        low = np.clip(np.floor(opposite.min(axis=0) - reach).astype(int), 0, parts.shape)
        high = np.clip(np.ceil(opposite.max(axis=0) + reach).astype(int) + 2, 0, parts.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        others = (parts[box] > 0) & (parts[box] != part)
        if not others.any():
            return False
        distance = ndimage.distance_transform_edt(~others, sampling=context.spacing_mm)
        index = np.rint(opposite).astype(int) - low
        inside = ((index >= 0) & (index < others.shape)).all(axis=1)
        near = distance[tuple(index[inside].T)] <= self.reach_mm
        return bool(near.sum() >= self.share * len(own))

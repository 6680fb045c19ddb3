"""Drop what has a twin on the other side: a tumour has none, white-matter hyperintensities mostly do."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annofree.intensity import robust_level
from annofree.masks import Mask, away_mm, components
from annofree.refine.base import RefineContext, Refiner
from annofree.scan import Modality
from annofree.volumes import exceeds

#: A component is bright from so many robust standard deviations above the brain's median.
_BRIGHT = 2.0


class MirrorFilter(Refiner):
    """Drops components that meet their like when they are mirrored across the brain's midsagittal plane.

    Confluent white-matter hyperintensities, and fat and muscle that a brain mask left in, lie on both sides; gliomas
    lie on one, and those that cross the corpus callosum are one component, which cannot be its own twin. Their like is
    another component, or tissue as bright: brighter on FLAIR (else T2) than halfway from the brain's median to the
    component's, and at least `bulk` as much of it within reach as there is of the component. A tumour whose mirror
    image merely contains a small island stays: what counts is the share of the component's own voxels. So does a
    component that has a core: hyperintensities have none.

    Attributes:
        share: Share of a component's mirrored voxels that must lie near their like for it to be dropped.
        reach_mm: How near; hyperintensities are symmetric to about this.
        max_ml: Larger components always stay.
        core: A component stays when at least this share of it is called core by the same method.
        bulk: Volume of bright tissue, as a share of the component's, that makes a twin; None looks at components only.
    """

    kind: ClassVar[str] = "mirror"
    main: ClassVar[tuple[str, ...]] = ("share",)

    share: float = Field(0.5, gt=0, le=1)
    reach_mm: float = Field(6.0, ge=0)
    max_ml: float = Field(30.0, gt=0)
    core: float = Field(0.1, gt=0)
    bulk: float | None = Field(0.5, gt=0)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The mask without twins; unchanged, with a note, where there are no images to find the midline with."""
        parts, count = components(mask)
        if count < (2 if self.bulk is None else 1):
            return mask.copy()
        if not context.images:
            context.notes.append("mirror skipped: no images to find the midline with")
            return mask.copy()
        sizes = np.bincount(parts[mask], minlength=count + 1)
        cores = np.zeros_like(sizes)
        if context.inner is not None:
            cores = np.bincount(parts[context.inner], minlength=len(sizes))
        doubtful = [
            part
            for part in range(1, count + 1)
            if not exceeds(sizes[part], context.voxel_ml, self.max_ml) and cores[part] < self.core * sizes[part]
        ]
        if not doubtful:
            return mask.copy()
        from annofree.anatomy import midsagittal_plane

        image = next(iter(context.images.values()))
        plane = midsagittal_plane(image[None], context.brain, context.spacing_mm)
        matrix = plane.reflection(context.spacing_mm)
        dropped = [part for part in doubtful if self._has_twin(part, parts, matrix, context)]
        return mask & ~np.isin(parts, dropped)

    def _has_twin(
        self, part: int, parts: NDArray[np.int32], matrix: NDArray[np.float64], context: RefineContext
    ) -> bool:
        """Whether enough of a component's mirror image lies within reach of its like."""
        own = np.argwhere(parts == part)
        opposite = own @ matrix[:3, :3].T + matrix[:3, 3]
        reach = np.asarray([self.reach_mm / step for step in context.spacing_mm])
        low = np.clip(np.floor(opposite.min(axis=0) - reach).astype(int), 0, parts.shape)
        high = np.clip(np.ceil(opposite.max(axis=0) + reach).astype(int) + 2, 0, parts.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        index = np.rint(opposite).astype(int) - low
        others = (parts[box] > 0) & (parts[box] != part)
        if self.meets(others, index, len(own), context.spacing_mm):
            return True
        bright = self._as_bright(parts == part, context)
        if self.bulk is None or bright is None:
            return False
        like = bright[box] & (parts[box] != part)
        return self.meets(like, index, len(own), context.spacing_mm, least=self.bulk * len(own))

    def meets(
        self,
        like: Mask,
        opposite: NDArray[np.int_],
        size: int,
        spacing_mm: tuple[float, float, float],
        *,
        least: float = 0.0,
    ) -> bool:
        """Whether enough of a component's mirror image lies near its like, and enough of the like near the image.

        Args:
            like: Where the like is, (X, Y, Z).
            opposite: Voxels of the mirror image in it, (N, 3); those outside are dropped.
            size: How many voxels the component has.
            spacing_mm: Voxel edges.
            least: How many voxels of the like must lie near.
        """
        opposite = opposite[((opposite >= 0) & (opposite < like.shape)).all(axis=1)]
        if not like.any() or not len(opposite):
            return False
        distance = away_mm(like, spacing_mm)
        if (distance[tuple(opposite.T)] <= self.reach_mm).sum() < self.share * size:
            return False
        image = np.zeros(like.shape, dtype=bool)
        image[tuple(opposite.T)] = True
        return bool((like & (away_mm(image, spacing_mm) <= self.reach_mm)).sum() >= least)

    def _as_bright(self, own: Mask, context: RefineContext) -> Mask | None:
        """Brain nearer to the component's brightness than to the brain's; None where the component is not bright."""
        images = context.images or {}
        image = images.get(Modality.FLAIR, images.get(Modality.T2))
        if image is None:
            return None
        (usual, spread), level = robust_level(image[context.brain]), float(np.median(image[own]))
        return context.brain & (image > 0.5 * (usual + level)) if level > usual + _BRIGHT * spread else None

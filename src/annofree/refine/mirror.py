"""Drop what has its like on the other side: a tumour has none, white-matter hyperintensities mostly do."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from annofree.grid import apply_affine
from annofree.intensity import robust_level
from annofree.masks import Box, Mask, SmoothingInside, away_mm, components, components_with, margin_for
from annofree.refine.base import RefineContext, Refiner
from annofree.scan import Modality
from annofree.volumes import exceeds, reaches

#: A component is bright from so many robust standard deviations above the brain's median, and rather bright from these.
_BRIGHT, _RATHER_BRIGHT = 2.0, 1.5
#: Noise is smoothed by this much before a single voxel is called as bright, mm.
_SMOOTH_MM = 2.0
#: Brightness so near to what is called is a part of it that was missed, mm.
_BESIDE_MM = 4.0
#: From this volume on a note says what was dropped, ml.
_WORTH_SAYING_ML = 1.0
#: A component with at least this much enhancing tumour is no hyperintensity, ml.
_ENHANCING_ML = 0.5


class MirrorFilter(Refiner):
    """Drops components that meet their like when they are mirrored across the brain's midsagittal plane.

    Confluent white-matter hyperintensities, and fat and muscle that a brain mask left in, lie on both sides; gliomas
    lie on one, and those that cross the corpus callosum are one component, which cannot be its own twin. Their like is

    - another component within reach of `share` of the mirrored voxels. A tumour whose mirror image merely contains a
      small island stays: what counts is the share of the component's own voxels. Or tissue as bright there: brighter on
      FLAIR (else T2) than halfway from the brain's median to the component's, and at least `bulk` as much of it. A
      component with a core, or of more than `max_ml`, stays: metastases come in pairs too, hyperintensities have none.
    - brain that nobody called and that is as bright, in `bright` of the mirrored voxels themselves: brightness that is
      no tumour there is none here, however much of it there is. What goes on from the component or lies beside what is
      called is a part that was missed and does not count. A component that enhances stays.

    Attributes:
        share: Share of a component's mirrored voxels that must lie near their like for it to be dropped.
        reach_mm: How near; hyperintensities are symmetric to about this.
        max_ml: Larger components have no twins.
        core: Nor have those of which at least this share is called core by the same method.
        bulk: Volume of bright tissue, as a share of the component's, that makes a twin; None looks at components only.
        bright: Share of the mirrored voxels that are as bright and not called; None does not ask. In 22 patients
            without masks, seen with four sequences and with two, a tumour's was 0.15 at most, that of real
            hyperintensities that were called 0.33 and more (`docs/refine.md`).
    """

    kind: ClassVar[str] = "mirror"
    main: ClassVar[tuple[str, ...]] = ("share",)
    later: ClassVar[Mapping[str, Any]] = {"core": 2.0, "bulk": None, "bright": None}

    share: float = Field(0.5, gt=0, le=1)
    reach_mm: float = Field(6.0, ge=0)
    max_ml: float = Field(30.0, gt=0)
    core: float = Field(0.1, gt=0)
    bulk: float | None = Field(0.5, gt=0)
    bright: float | None = Field(0.3, gt=0, le=1)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The mask without what has its like; unchanged, with a note, where no image can show the midline."""
        parts, count = components(mask)
        if not count or (count == 1 and self.bulk is None and self.bright is None):
            return mask.copy()
        if not context.images:
            return self.skipped(mask.copy(), context, "no images to find the midline with")
        sizes, cores, enhancing = (
            np.bincount(parts[mask & inner], minlength=count + 1)
            for inner in (mask, _or_nothing(context.inner, mask), _or_nothing(_enhancing(context), mask))
        )
        pairs = ~exceeds(sizes, context.voxel_ml, self.max_ml) & (cores < self.core * sizes)
        fades = ~reaches(enhancing, context.voxel_ml, _ENHANCING_ML) & (self.bright is not None)
        doubtful = [part for part in range(1, count + 1) if pairs[part] or fades[part]]
        if not doubtful:
            return mask.copy()
        from annofree.anatomy import midsagittal_plane

        image = next(iter(context.images.values()))
        plane = midsagittal_plane(image[None], context.brain, context.spacing_mm)
        matrix = plane.reflection(context.spacing_mm)
        brightness = _Brightness.of(context)
        dropped = []
        boxes = ndimage.find_objects(parts)
        for part in doubtful:
            box = boxes[part - 1]
            own = np.argwhere(parts[box] == part) + [axis.start for axis in box]
            opposite = np.rint(apply_affine(matrix, own)).astype(int)
            opposite = opposite[((opposite >= 0) & (opposite < mask.shape)).all(axis=1)]
            if (pairs[part] and self._has_twin(own, opposite, parts, brightness, context.spacing_mm)) or (
                fades[part] and brightness is not None and brightness.share(own, opposite, mask) >= (self.bright or 1.0)
            ):
                dropped.append(part)
        ml = float(sizes[dropped].sum()) * context.voxel_ml
        if ml >= _WORTH_SAYING_ML:
            context.notes.append(f"mirror dropped {ml:.1f} ml that has its like on the other side of the brain")
        return mask & ~np.isin(parts, dropped)

    def _has_twin(
        self,
        own: NDArray[np.int_],
        opposite: NDArray[np.int_],
        parts: NDArray[np.int32],
        brightness: _Brightness | None,
        spacing_mm: tuple[float, float, float],
    ) -> bool:
        """Whether another component, or tissue as bright, lies near enough of a component's mirror image."""
        if not len(opposite):
            return False
        part = parts[tuple(own[0])]
        box = _around(opposite, self.reach_mm, spacing_mm)
        inside = opposite - [axis.start for axis in box]
        others = parts[box] != part
        if self.meets((parts[box] > 0) & others, inside, len(own), spacing_mm):
            return True
        if self.bulk is None or brightness is None:
            return False
        like = brightness.like(own, box) & others
        return self.meets(like, inside, len(own), spacing_mm, least=self.bulk * len(own))

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

        `opposite` are the voxels (N, 3) of the mirror image of a component of so many; those outside of the array count
        for nothing. At least `least` voxels of the like (X, Y, Z) must lie near.
        """
        opposite = opposite[((opposite >= 0) & (opposite < like.shape)).all(axis=1)]
        if not like.any():
            return False
        if (away_mm(like, spacing_mm)[tuple(opposite.T)] <= self.reach_mm).sum() < self.share * size:
            return False
        image = np.zeros(like.shape, dtype=bool)
        image[tuple(opposite.T)] = True
        return bool((like & (away_mm(image, spacing_mm) <= self.reach_mm)).sum() >= least)


def _around(voxels: NDArray[np.int_], mm: float, spacing_mm: tuple[float, float, float]) -> Box:
    """The part of an array that holds some voxels (N, 3) and what lies so near to them."""
    margin = np.array(margin_for(mm, spacing_mm))
    low, high = np.maximum(voxels.min(axis=0) - margin, 0), voxels.max(axis=0) + margin + 1
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z


class _Brightness:
    """The sequence that shows hyperintensities, and what the brain's middle and spread on it are."""

    def __init__(self, image: NDArray[np.float32], context: RefineContext) -> None:
        self._image, self._brain, self._spacing_mm = image, context.brain, context.spacing_mm
        self._usual, self._spread = robust_level(image[context.brain])

    @classmethod
    def of(cls, context: RefineContext) -> _Brightness | None:
        """None where there is no such sequence."""
        images = context.images or {}
        image = images.get(Modality.FLAIR, images.get(Modality.T2))
        return None if image is None else cls(image, context)

    def _halfway(self, own: NDArray[np.int_], least: float) -> float:
        """Grey level halfway from the brain's to a component's; infinite where that is not `least` spreads above."""
        level = float(np.median(self._image[tuple(own.T)]))
        return 0.5 * (self._usual + level) if level > self._usual + least * self._spread else np.inf

    def like(self, own: NDArray[np.int_], box: Box) -> Mask:
        """Brain in a part of the scan that is nearer to the component's brightness than to the brain's."""
        return self._brain[box] & (self._image[box] > self._halfway(own, _BRIGHT))

    def share(self, own: NDArray[np.int_], opposite: NDArray[np.int_], called: Mask) -> float:
        """Share of what lies opposite that is as bright, and neither called nor a part of a finding that was missed.

        Brightness that goes on from the component, or lies beside what is called, is such a part. 0 if most is called.
        """
        free = opposite[self._brain[tuple(opposite.T)] & ~called[tuple(opposite.T)]]
        halfway = self._halfway(own, _RATHER_BRIGHT)
        if len(free) < 0.5 * len(own) or not np.isfinite(halfway):
            return 0.0
        bright, component = self._brain & (self._smooth > halfway), np.zeros_like(called)
        component[tuple(own.T)] = True
        alone = bright & ~components_with(bright | component, component, 6)
        box = _around(free, _BESIDE_MM, self._spacing_mm)
        away = away_mm(called[box], self._spacing_mm)[tuple((free - [axis.start for axis in box]).T)]
        return float(np.mean(alone[tuple(free.T)] & (away > _BESIDE_MM)))

    @cached_property
    def _smooth(self) -> NDArray[np.float32]:
        return SmoothingInside(self._brain, _SMOOTH_MM, self._spacing_mm, least=1e-3)(self._image)


def _or_nothing(inner: Mask | None, mask: Mask) -> Mask:
    return np.zeros_like(mask) if inner is None else inner


def _enhancing(context: RefineContext) -> Mask | None:
    """What is called enhancing tumour, where it could be seen: without contrast agent nothing is."""
    if "ET" not in context.maps or "ET" not in context.cuts or Modality.T1C not in (context.images or {}):
        return None
    return np.asarray(context.maps["ET"] > context.cuts["ET"])

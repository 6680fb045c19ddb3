"""Draw each finding's border where its scores fall to a share of what they are inside, by default half."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy import ndimage

from annofree.masks import Mask, bounding_box, components, components_with, margin_for, widened
from annofree.refine.base import RefineContext, Refiner


class HalfHeight(Refiner):
    """Move each component's border to a share of its own height, for scores that are 0 where nothing is abnormal.

    A threshold from healthy scans says where something is abnormal, not where it ends: it cuts a bright finding too
    wide and a faint one too narrow. A scanner blurs an edge symmetrically, so the edge lies where the score is half
    of what it is inside.

    Attributes:
        share: Share of the component's height at which it ends.
        quantile: Quantile of the component's scores that is its height.
        reach_mm: A border moves outwards by no more than this.
    """

    kind: ClassVar[str] = "half-height"
    draws_border: ClassVar[bool] = True
    main: ClassVar[tuple[str, ...]] = ("share",)

    share: float = Field(default=0.5, gt=0.0, lt=1.0)
    quantile: float = Field(default=0.5, gt=0.0, lt=1.0)
    reach_mm: float = Field(default=10.0, gt=0.0)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The components with their borders moved; none vanishes."""
        result = np.zeros(mask.shape, dtype=bool)
        box = bounding_box(mask, margin_for(self.reach_mm, context.spacing_mm))
        if box is None:
            return result
        scores, brain = context.scores[box], context.brain[box] | mask[box]
        parts, count = components(mask[box])
        grown = np.zeros(parts.shape, dtype=bool)
        boxes = ndimage.find_objects(parts)
        reach = margin_for(self.reach_mm, context.spacing_mm)
        for part in range(1, count + 1):
            near = widened(boxes[part - 1], reach, parts.shape)
            own = parts[near] == part
            cut = self.share * float(np.quantile(scores[near][own], self.quantile))
            within = ndimage.distance_transform_edt(~own, sampling=context.spacing_mm) <= self.reach_mm
            grown[near] |= components_with((scores[near] > cut) & within & brain[near], own)
        result[box] = grown
        return result

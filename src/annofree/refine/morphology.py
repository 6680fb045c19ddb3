"""Opening, closing, erosion and dilation with a ball measured in mm."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from scipy import ndimage

from annofree.masks import Mask, bounding_box, margin_for
from annofree.refine.base import RefineContext, Refiner


class Morphology(Refiner):
    """Morphology by Euclidean distance, so that the ball is round in mm on any grid and its size costs no time.

    Attributes:
        operation: "opening" (cuts thin bridges and specks), "closing" (joins and fills), "erosion" or "dilation".
        mm: Radius of the ball.
    """

    kind: ClassVar[str] = "morphology"
    main: ClassVar[tuple[str, ...]] = ("operation",)

    operation: Literal["opening", "closing", "erosion", "dilation"] = "opening"
    mm: float = Field(default=2.0, gt=0.0)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The changed mask; what is added stays inside the brain."""
        result = np.zeros(mask.shape, dtype=bool)
        margin = margin_for(self.mm, context.spacing_mm)
        box = bounding_box(mask, margin)
        if box is None:
            return result
        inside = np.pad(mask[box], [(m, m) for m in margin])
        for step in {"opening": "ed", "closing": "de", "erosion": "e", "dilation": "d"}[self.operation]:
            inside = self._eroded(inside, context) if step == "e" else ~self._eroded(~inside, context)
        x, y, z = margin
        result[box] = inside[x:-x, y:-y, z:-z] & (context.brain[box] | mask[box])
        return result

    def _eroded(self, inside: Mask, context: RefineContext) -> Mask:
        if inside.all():
            return inside
        distance = ndimage.distance_transform_edt(inside, sampling=context.spacing_mm)
        kept: Mask = distance > self.mm * (1 + 1e-6)
        return kept

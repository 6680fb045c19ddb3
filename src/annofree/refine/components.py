"""Connected components: drop the small, keep the largest, or keep what one confident voxel vouches for."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveInt

from annofree.masks import Mask, bounding_box, components
from annofree.refine.base import RefineContext, Refiner
from annofree.volumes import reaches


class KeepComponents(Refiner):
    """Keep connected components by volume, rank and score.

    Attributes:
        connectivity: 6 (faces), 18 (edges too) or 26 (corners too).
        min_ml: Components smaller than this are dropped.
        keep: "all", "largest", or how many of the highest rank.
        by: What ranks components: their "volume" or their integrated "score".
        hysteresis: If given, a component needs at least one voxel that scores above this.
    """

    kind: ClassVar[str] = "components"
    main: ClassVar[tuple[str, ...]] = ("connectivity",)

    connectivity: Literal[6, 18, 26] = 26
    min_ml: float = Field(default=0.0, ge=0.0)
    keep: Literal["all", "largest"] | PositiveInt = "all"
    by: Literal["volume", "score"] = "volume"
    hysteresis: float | None = None

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The mask without the components that do not qualify."""
        result = np.zeros(mask.shape, dtype=bool)
        box = bounding_box(mask)
        if box is None:
            return result
        labels, count = components(mask[box], self.connectivity)
        flat = labels.ravel()
        volumes = np.bincount(flat, minlength=count + 1)
        good = reaches(volumes, context.voxel_ml, self.min_ml)
        good[0] = False
        scores = context.scores[box]
        if self.hysteresis is not None:
            vouched = np.zeros(count + 1, dtype=bool)
            vouched[labels[(scores > self.hysteresis) & mask[box]]] = True
            good &= vouched
        if self.keep != "all":
            number = 1 if self.keep == "largest" else self.keep
            rank = volumes if self.by == "volume" else np.bincount(flat, weights=scores.ravel(), minlength=count + 1)
            order = np.argsort(np.where(good, -rank.astype(float), np.inf), kind="stable")
            good[order[number:]] = False
        result[box] = good[labels]
        return result

"""Connected components: drop the small, keep the largest, or keep what one confident voxel vouches for.

And how large a finding must be to be worth keeping, learned from tumour-free scans.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveInt

from annofree.errors import InputError, SettingsError
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


def healthy_min_ml(healthy: Iterable[tuple[Mask, float]], *, alpha: float = 0.2) -> float:
    """A minimum volume that leaves no component at all in a new healthy person, for a share `1 - alpha` of them, ml.

    Split conformal, as `annofree.thresholds.Conformal`: the `ceil((n + 1)(1 - alpha))`-th smallest of the scans'
    largest components, and one voxel more. Each tumour-free scan is the mask that the method gave and its voxel volume.

    Raises:
        InputError: Too few scans for the level.
    """
    if not 0 < alpha < 1:
        raise SettingsError(f"The level alpha lies between 0 and 1, not {alpha}")
    largest: list[float] = []
    voxel = 0.0
    for mask, voxel_ml in healthy:
        voxel = max(voxel, voxel_ml)
        largest.append(int(np.bincount(components(mask, 26)[0][mask], minlength=1).max()) * voxel_ml)
    rank = int(np.ceil((len(largest) + 1) * (1 - alpha) - 1e-9))
    if rank > len(largest):
        needed = int(np.ceil((1 - alpha) / alpha - 1e-9))
        raise InputError(
            f"A minimum volume at the level {alpha:g} needs at least {needed} healthy scans",
            why=f"{len(largest)} were given",
            fix="Give more, or ask for a weaker level",
        )
    return sorted(largest)[rank - 1] + voxel

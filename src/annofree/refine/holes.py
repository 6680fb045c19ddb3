"""Fill cavities."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy import ndimage

from annofree.masks import Mask, bounding_box
from annofree.refine.base import RefineContext, Refiner


class FillHoles(Refiner):
    """Fill the mask's cavities, such as a necrotic core that a rule on bright voxels left out.

    Attributes:
        max_ml: Cavities larger than this stay open; None fills all.
        axial: Also fill what is closed within an axial slice only, such as a core open at the top.
    """

    kind: ClassVar[str] = "fill-holes"
    main: ClassVar[tuple[str, ...]] = ("max_ml",)

    max_ml: float | None = Field(default=None, gt=0.0)
    axial: bool = False

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The mask with its cavities filled, inside the brain."""
        limit = np.inf if self.max_ml is None else self.max_ml / context.voxel_ml * (1 + 1e-9)
        filled = fill_holes(mask, limit)
        if self.axial:
            filled = fill_holes(filled, limit, axial=True)
        if (filled & ~context.brain & ~mask).any():
            filled &= fill_holes(context.brain)
        return mask | filled


def fill_holes(mask: Mask, max_vox: float = np.inf, axial: bool = False) -> Mask:
    """The mask (X, Y, Z) with every cavity of at most `max_vox` filled that faces do not connect to the outside.

    Equal to `scipy.ndimage.binary_fill_holes`, by labelling the background inside the bounding box. With `axial`,
    cavities of axial slices: the two faces along the last axis do not connect.
    """
    result = mask.copy()
    box = bounding_box(mask)
    if box is None:
        return result
    structure = ndimage.generate_binary_structure(3, 1)
    if axial:
        structure[:, :, [0, 2]] = False
    outside = ~np.pad(mask[box], ((1, 1), (1, 1), (0, 0) if axial else (1, 1)), constant_values=False)
    labels, count = ndimage.label(outside, structure)
    cavity = np.bincount(labels.ravel(), minlength=count + 1) <= max_vox
    cavity[0] = False
    cavity[labels[0, 0, :]] = False
    inner = (slice(1, -1), slice(1, -1), slice(None) if axial else slice(1, -1))
    result[box] |= cavity[labels][inner]
    return result

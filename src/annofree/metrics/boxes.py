"""Bounding boxes: a lesion fills a small part of a head, so nearly all work can be done in its box."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


def bounding_box(mask: NDArray[Any], margin: int = 0) -> Box | None:
    """Smallest box around the non-zero voxels of an (X, Y, Z) array, grown by `margin` voxels inside the array.

    Returns:
        Three slices, or None when everything is zero.
    """
    in_x = np.flatnonzero(np.any(mask, axis=(1, 2)))
    if not in_x.size:
        return None
    slab = np.any(mask[in_x[0] : in_x[-1] + 1], axis=0)
    spans = in_x, np.flatnonzero(np.any(slab, axis=1)), np.flatnonzero(np.any(slab, axis=0))
    x, y, z = (
        slice(max(int(span[0]) - margin, 0), min(int(span[-1]) + 1 + margin, size))
        for span, size in zip(spans, mask.shape, strict=True)
    )
    return x, y, z


def around(*boxes: Box) -> Box:
    """The smallest box that holds all the given ones."""

    def both(a: Box, b: Box) -> Box:
        x, y, z = (slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a, b, strict=True))
        return x, y, z

    return reduce(both, boxes)


def joint_box(truth: NDArray[Any], prediction: NDArray[Any], margin: int = 0) -> Box | None:
    """The box around the non-zero voxels of either array; None when both are empty."""
    boxes = [box for box in (bounding_box(truth, margin), bounding_box(prediction, margin)) if box is not None]
    return around(*boxes) if boxes else None

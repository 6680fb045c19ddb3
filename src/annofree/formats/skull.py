"""Telling a whole head from a brain that was taken out of its skull.

A stripped brain lies in one constant background and fills 0.8 to 2 litres; the largest adult brains with their
cerebrospinal fluid stay below 2.1 litres (MNI's mask, itself large, has 1.9). A whole head fills 2.3 litres and more,
and the air around it is noise unless somebody cleaned it. Grey levels, their scale and their sign do not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.masks import Mask, faces, largest_component
from annofree.scan import Grid, Scan

#: Litres; above any brain, below any adult head.
MAX_BRAIN_L = 2.2
#: A field of view this small holds neither (litres).
MIN_VIEW_L = 0.5
#: Part of the voxels (and of the faces) that has the one background value at least, when a brain was stripped.
MIN_CONSTANT = 0.2
#: Litres need no finer voxels than this.
_COARSE_MM = 4.0


def head_in(scan: Scan) -> str | None:
    """Why an image of a scan without a brain mask looks like a whole head, or None; known since it was read."""
    whys = (why_whole_head(image, scan.grid) for image in scan.images.values())
    return scan.once("whole head", lambda: next((why for why in whys if why), None))


def why_whole_head(image: NDArray[Any], grid: Grid) -> str | None:
    """Why an image looks like a head with its skull, or None for a stripped brain.

    Grey levels (X, Y, Z) may be of any scale.
    """
    spacing = np.asarray(grid.spacing_mm)
    view_l = grid.voxel_ml * image.size / 1000
    if view_l < MIN_VIEW_L:
        return None
    steps = np.maximum(1, np.round(_COARSE_MM / spacing).astype(int))
    coarse = image[:: steps[0], :: steps[1], :: steps[2]]
    outer = faces(image)
    values, counts = np.unique(outer, return_counts=True)
    background = values[np.argmax(counts)]
    on_faces, inside = counts.max() / outer.size, float((coarse == background).mean())
    if min(on_faces, inside) < MIN_CONSTANT:
        return f"only {min(on_faces, inside):.0%} of it is constant background, so the air was not removed"
    low, high = np.percentile(coarse, (0.5, 99.5))
    body = largest_body(np.abs(coarse - background) > 0.02 * (high - low))
    litres = int(body.sum()) * float(np.prod(spacing * steps)) / 1e6
    if litres > MAX_BRAIN_L:
        return f"what is not background fills {litres:.1f} litres, more than any brain"
    return None


def largest_body(bright: Mask) -> Mask:
    """The largest connected thing in a coarse (X, Y, Z) mask, with its cavities."""
    from scipy import ndimage

    body = largest_component(ndimage.binary_opening(bright), 6)
    body = ndimage.binary_closing(np.pad(body, 4), iterations=3)[4:-4, 4:-4, 4:-4]
    return np.asarray(np.stack([ndimage.binary_fill_holes(body[:, :, z]) for z in range(body.shape[2])], axis=2))

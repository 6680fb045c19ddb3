"""What enhances in everybody: choroid plexus and vessels, told by their like on the other side of the brain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annofree.grid import apply_affine
from annofree.masks import bounding_box, components, depth_mm
from annofree.methods.synthtumour.core import LEAST_PART_ML
from annofree.refine.mirror import MirrorFilter
from annofree.scan import Modality, Scan
from annofree.volumes import reaches

#: Choroid plexus and vessels are nowhere deeper than this, mm.
THIN_MM = 2.5
#: Their like on the other side has at least this share of their volume.
BULK = 0.5


def thin_parts(enhancing: NDArray[np.bool_], scan: Scan) -> list[NDArray[np.int_]]:
    """Voxels (N, 3) of each part of enhancing tumour that is as thin as a vessel, and not the largest."""
    box = bounding_box(enhancing, (1, 1, 1))
    if box is None:
        return []
    parts, count = components(enhancing[box])
    voxels = np.bincount(parts.ravel(), minlength=count + 1)
    deep = np.bincount(parts[depth_mm(enhancing[box], scan.spacing_mm) > THIN_MM], minlength=count + 1)
    doubtful = reaches(voxels, scan.voxel_ml, LEAST_PART_ML) & (deep == 0)
    doubtful[[0, 1 + int(voxels[1:].argmax())]] = False
    first = [axis.start for axis in box]
    return [np.argwhere(parts == part) + first for part in np.flatnonzero(doubtful)]


def without_vessels(
    enhancing: NDArray[np.float32], parts: list[NDArray[np.int_]], scan: Scan, coarse: Scan, leaks: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The score of enhancing tumour with 0 in each part that has its like on the other side, (X, Y, Z).

    A tumour's mass may push choroid plexus and vessels into its core, where they look like a piece of it. Unlike that
    they meet, mirrored across the midsagittal plane, enhancement of at least half of their volume that is no tumour:
    `leaks`, on the grid of `coarse`, the same scan with its brain. `parts` are what `thin_parts` found.
    """
    from annofree.anatomy import midsagittal_plane

    assert coarse.brain is not None
    plane = midsagittal_plane(coarse.images[Modality.T1][None], coarse.brain, coarse.spacing_mm)
    to_mirrored = plane.reflection(coarse.spacing_mm) @ np.linalg.inv(coarse.affine) @ scan.affine
    out = enhancing.copy()
    for part in parts:
        opposite = np.rint(apply_affine(to_mirrored, part)).astype(int)
        least = BULK * len(part) * scan.voxel_ml / coarse.voxel_ml
        if MirrorFilter().meets(leaks, opposite, len(part), coarse.spacing_mm, least=least):
            out[tuple(part.T)] = 0.0
    return out

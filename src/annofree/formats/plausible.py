"""Whether a scan has the size of a head: a wrong voxel size gives wrong volumes and says nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.masks import bounding_box
from annofree.scan import Grid

#: A field of view outside this (mm) is none of a head.
MIN_EXTENT_MM, MAX_EXTENT_MM = 60.0, 600.0
#: Voxels that a brain has along each axis at least.
MIN_VOXELS = 8
#: What is not background fills so many litres: a newborn's brain in part, and a head with its neck.
MIN_LITRES, MAX_LITRES = 0.2, 9.0
_FIX = "Check voxel size and unit in the header against the scanner's protocol, and give the whole head or brain"


def refuse_impossible_view(grid: Grid, file: str) -> None:
    """Refuse a field of view that no head has.

    Raises:
        InputError: It is too small or too large.
    """
    extent = [n * edge for n, edge in zip(grid.shape, grid.spacing_mm, strict=True)]
    if min(extent) < MIN_EXTENT_MM or max(extent) > MAX_EXTENT_MM:
        shown = " x ".join(f"{length:.3g}" for length in extent)
        what = "An image does not have the size of a head"
        raise InputError(what, file=file, why=f"by its header it covers {shown} mm", fix=_FIX)


def refuse_impossible_brain(grid: Grid, inside: NDArray[np.bool_], file: str) -> None:
    """Refuse a brain that no person has.

    `inside` is an (X, Y, Z) brain mask, or what is not background.

    Raises:
        InputError: It is too small, too large, or too coarse.
    """
    widths = [axis.stop - axis.start for axis in bounding_box(inside) or (slice(0, 0),)]
    if min(widths) < MIN_VOXELS:
        raise InputError(
            "A brain is too coarse or too small to look for tumours in",
            file=file,
            why=f"it is {min(widths)} voxels wide along one axis, and {MIN_VOXELS} are needed",
            fix=_FIX,
        )
    litres = float(np.count_nonzero(inside)) * grid.voxel_ml / 1000
    if not MIN_LITRES <= litres <= MAX_LITRES:
        raise InputError(
            "An image does not have the size of a head",
            file=file,
            why=f"what is not background fills {litres:.3g} litres",
            fix=_FIX,
        )

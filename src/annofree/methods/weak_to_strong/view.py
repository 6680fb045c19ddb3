"""A scan as the strong stage sees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.inference.channels import normalise
from annofree.prepare.resample import to_spacing
from annofree.scan import Grid, Scan


def view_of(
    scan: Scan, spacing_mm: float, brain: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], Grid]:
    """A scan at the network's spacing, with its brain (X, Y, Z) on the scan's grid: images, brain, and their grid.

    The images (4, X, Y, Z), T1, T1C, T2, FLAIR, are robust z inside the brain, 0 outside it and where absent, rounded
    to half precision as the volumes are that the network learned from.

    Raises:
        InputError: The brain is empty.
    """
    coarse = to_spacing(scan.replace(brain=brain), spacing_mm)
    assert coarse.brain is not None
    if not coarse.brain.any():
        raise InputError(f"Scan '{scan.id}' has no brain", fix="Give a brain mask with --brain-mask")
    inside = coarse.brain.copy()
    return normalise(coarse.stack(), inside).astype(np.float16).astype(np.float32), inside, coarse.grid

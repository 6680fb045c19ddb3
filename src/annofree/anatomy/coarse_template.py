"""The MNI template as the alignment sees it, read from one small file that was made from the template once.

`python benchmarks/make_anatomy.py template` writes it anew.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parent / "data" / "mni152_coarse.npz"
#: Tissue shares are kept in so many steps.
STEPS = 250

Affine = NDArray[np.float64]


@cache
def coarse_template() -> tuple[NDArray[np.float32], NDArray[np.float32], Affine]:
    """T1 (0..1, 0 outside the brain) and brain share in voxels of 4 mm, and their affine."""
    with np.load(FILE) as kept:
        return kept["t1"], kept["brain"], kept["affine"]


@cache
def tissue_maps() -> tuple[tuple[NDArray[np.float32], ...], Affine]:
    """Grey matter, white matter and fluid of the template in voxels of 2 mm, as smooth as the scan's of 4 mm.

    A Gaussian of half a voxel adds to the variance of a 2 mm block what a 4 mm block has more.
    """
    with np.load(FILE) as kept:
        tissues = kept["tissues"].astype(np.float32) / np.float32(STEPS)
        return tuple(tissues), kept["tissues_affine"]

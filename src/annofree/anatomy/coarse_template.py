"""The MNI template as the alignment sees it, read from one small file that was made from the template once.

    python -m annofree.anatomy.coarse_template

writes the file anew.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.anatomy.coarse import block_mean, coarse_brain

FILE = Path(__file__).parent / "data" / "mni152_coarse.npz"
#: Tissue shares are kept in so many steps.
_STEPS = 250

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
        tissues = kept["tissues"].astype(np.float32) / np.float32(_STEPS)
        return tuple(tissues), kept["tissues_affine"]


def make() -> dict[str, NDArray[np.generic]]:
    """What the file holds, from the template itself."""
    from scipy import ndimage

    from annofree.anatomy.template import template

    brain = template()
    t1, share, affine = coarse_brain(brain.t1, brain.brain, brain.affine)
    grey, white, inside = (
        block_mean(volume, np.array([2, 2, 2])) for volume in (brain.grey, brain.white, brain.brain.astype(np.float32))
    )
    fluid = np.clip(inside - grey - white, 0.0, 1.0)
    tissues_affine = brain.affine.copy()
    tissues_affine[:3, 3] += tissues_affine[:3, :3] @ np.full(3, 0.5)
    tissues_affine[:3, :3] *= 2.0
    smooth = np.stack([ndimage.gaussian_filter(volume, 0.5) for volume in (grey, white, fluid)])
    tissues = np.rint(np.clip(smooth, 0.0, 1.0) * _STEPS).astype(np.uint8)
    return {"t1": t1, "brain": share, "affine": affine, "tissues": tissues, "tissues_affine": tissues_affine}


if __name__ == "__main__":
    np.savez_compressed(FILE, **make())  # type: ignore[arg-type]

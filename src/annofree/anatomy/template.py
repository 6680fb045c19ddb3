"""The MNI152 template (ICBM 2009a, symmetric) at 1 mm, and as the alignment sees it: T1 and tissue maps.

Source: Fonov et al., NeuroImage 47 (2009) S102; the files lie in `data/`, with their notice. The coarse one was made
from the others once: `python benchmarks/make_anatomy.py template` writes it anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DATA = Path(__file__).with_name("data")
COARSE_FILE = _DATA / "mni152_coarse.npz"
#: Tissue shares of the coarse template are kept in so many steps.
STEPS = 250

Affine = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Template:
    """The MNI152 brain. Arrays are read-only float32 (X, Y, Z), RAS+, 1 mm.

    Attributes:
        t1: Skull-stripped T1, 0..1, 0 outside the brain.
        grey: Grey-matter map, 0..1.
        white: White-matter map, 0..1.
        affine: (4, 4) voxel to MNI mm.
    """

    t1: NDArray[np.float32]
    grey: NDArray[np.float32]
    white: NDArray[np.float32]
    affine: NDArray[np.float64]

    @property
    def brain(self) -> NDArray[np.bool_]:
        """Brain with its ventricles, cerebellum and brainstem, boolean (X, Y, Z)."""
        return self.t1 > 0

    @property
    def csf(self) -> NDArray[np.float32]:
        """What of the brain is neither grey nor white, 0..1."""
        return np.where(self.brain, np.clip(1.0 - self.grey - self.white, 0.0, 1.0), np.float32(0.0))


@cache
def template() -> Template:
    """The template, read on the first call (0.2 s) and kept.

    Example:
        >>> template().t1.shape
        (197, 233, 189)
    """
    import nibabel as nib

    volumes = []
    affine = np.eye(4)
    for kind in ("t1", "grey", "white"):
        image: Any = nib.load(_DATA / f"mni152_{kind}.nii.gz")
        volume = np.asarray(image.dataobj, dtype=np.float32)
        volume /= volume.max()
        volume.flags.writeable = False
        volumes.append(volume)
        affine = np.array(image.affine, dtype=np.float64)
    affine.flags.writeable = False
    t1, grey, white = volumes
    return Template(t1, grey, white, affine)


@cache
def coarse_template() -> tuple[NDArray[np.float32], NDArray[np.float32], Affine]:
    """T1 (0..1, 0 outside the brain) and brain share in voxels of 4 mm, and their affine."""
    with np.load(COARSE_FILE) as kept:
        return kept["t1"], kept["brain"], kept["affine"]


@cache
def tissue_maps() -> tuple[tuple[NDArray[np.float32], ...], Affine]:
    """Grey matter, white matter and fluid of the template in voxels of 2 mm, as smooth as the scan's of 4 mm.

    A Gaussian of half a voxel adds to the variance of a 2 mm block what a 4 mm block has more.
    """
    with np.load(COARSE_FILE) as kept:
        tissues = kept["tissues"].astype(np.float32) / np.float32(STEPS)
        return tuple(tissues), kept["tissues_affine"]

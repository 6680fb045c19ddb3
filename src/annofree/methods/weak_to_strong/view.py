"""A scan as the strong stage sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.inference.channels import normalise
from annofree.prepare.resample import to_spacing
from annofree.scan import Grid, Modality, Scan


@dataclass(frozen=True, eq=False)
class View:
    """One scan on the network's grid.

    Attributes:
        images: Float32 (4, X, Y, Z), T1, T1C, T2, FLAIR: robust z inside the brain, 0 outside it and where absent,
            rounded to half precision as the volumes are that the network learned from.
        brain: Boolean (X, Y, Z).
        grid: The grid of these arrays.
    """

    images: NDArray[np.float32]
    brain: NDArray[np.bool_]
    grid: Grid


def view_of(scan: Scan, spacing_mm: float, brain: NDArray[np.bool_]) -> View:
    """A scan at the network's spacing, with its brain (X, Y, Z) on the scan's grid.

    Raises:
        InputError: The brain is empty.
    """
    coarse = to_spacing(scan.replace(brain=brain), spacing_mm)
    assert coarse.brain is not None
    if not coarse.brain.any():
        raise InputError(f"Scan '{scan.id}' has no brain", fix="Give a brain mask with --brain-mask")
    images = np.zeros((len(Modality), *coarse.shape), dtype=np.float32)
    for channel, sequence in enumerate(Modality):
        if sequence in coarse.images:
            images[channel] = coarse.images[sequence]
    inside = coarse.brain.copy()
    return View(normalise(images, inside).astype(np.float16).astype(np.float32), inside, coarse.grid)

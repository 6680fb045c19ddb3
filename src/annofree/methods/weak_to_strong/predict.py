"""A scan as the strong stage sees it, and its tumour probabilities by sliding windows, weighted as MONAI does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.inference import Network
from annofree.inference.channels import normalise
from annofree.inference.predict import sigmoid, slide
from annofree.masks import bounding_box
from annofree.prepare.resample import to_spacing
from annofree.scan import Grid, Scan

Floats = NDArray[np.float32]

#: Overlap of windows, and whether the flipped volume is looked at too, by quality.
QUALITY: dict[str, tuple[float, bool]] = {"fast": (0.25, False), "default": (0.5, True), "best": (0.75, True)}


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


def probabilities(network: Network, images: Floats, brain: NDArray[np.bool_], *, quality: str = "default") -> Floats:
    """Tumour probabilities (X, Y, Z) of one volume (4, X, Y, Z) by a UNETR, 0 outside the brain.

    Sliding windows run over the brain, as it is and flipped left to right, by quality (see :data:`QUALITY`).
    """
    out = np.zeros(brain.shape, dtype=np.float32)
    box = bounding_box(brain)
    if box is None:
        return out
    x = images[(slice(None), *box)]
    overlap, flip = QUALITY[quality]
    views = np.stack([x, x[:, ::-1]]) if flip else x[None]
    found = sigmoid(slide(network, views, network.settings.window, overlap)[:, 0])
    out[box] = (0.5 * (found[0] + found[1][::-1]) if flip else found[0]) * brain[box]
    return out

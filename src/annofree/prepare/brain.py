"""Where the brain of a scan is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.masks import bounding_box, components
from annofree.scan import Scan


def brain_of(scan: Scan) -> NDArray[np.bool_]:
    """The scan's brain mask or its foreground, (X, Y, Z). Raises `InputError`: there is none."""
    brain = scan.foreground()
    if not brain.any():
        raise InputError(f"Scan '{scan.id}' has no foreground", fix="Give a brain mask with --brain-mask")
    return brain


def filled_brain(scan: Scan) -> NDArray[np.bool_]:
    """The same with its holes filled: dark fluid may equal the background. Raises `InputError`: there is none."""
    brain = brain_of(scan)
    return scan.once("filled brain", lambda: _without_holes(brain))


def _without_holes(brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    box = bounding_box(brain)
    assert box is not None
    # one pass over the background of the brain's box, with a rim that joins all of it that lies outside
    background, _ = components(np.pad(~brain[box], 1, constant_values=True), 6)
    filled = np.zeros_like(brain)
    filled[box] = (background != background[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled

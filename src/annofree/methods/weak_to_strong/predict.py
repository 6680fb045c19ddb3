"""From a volume to tumour probabilities by sliding windows, weighted as MONAI's sliding window does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annofree.inference import Network
from annofree.inference.predict import sigmoid, slide
from annofree.masks import bounding_box

Floats = NDArray[np.float32]

#: Overlap of windows, and whether the flipped volume is looked at too, by quality.
QUALITY: dict[str, tuple[float, bool]] = {"fast": (0.25, False), "default": (0.5, True), "best": (0.75, True)}


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

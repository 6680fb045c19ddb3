"""How far a reconstruction is from its slice; `blogrr/levels.py` has the same for gradients."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from annofree.settings import Settings


class ErrorSettings(Settings):
    """What an error map is.

    Attributes:
        side: "both" takes the absolute error (published); "bright" only where the slice is brighter than its
            reconstruction, as tumour is on FLAIR and T2; "dark" only where it is darker.
        kernel: Side of the blurring window in pixels, odd; 1 does not blur.
    """

    side: Literal["both", "bright", "dark"] = "both"
    kernel: int = Field(5, ge=1)


PUBLISHED = ErrorSettings()
#: Standard deviation of the blur in pixels.
_SIGMA_PX = 4.0


def error_map(
    image: NDArray[np.float32],
    reconstruction: NDArray[np.float32],
    foreground: NDArray[Any] | None = None,
    settings: ErrorSettings = PUBLISHED,
) -> NDArray[np.float32]:
    """Error map of slices ``(B, C, H, W)`` in grey levels 0..1, 0 outside the foreground.

    The foreground is boolean or 0/1, broadcastable to the slices; None takes all pixels. The blur mirrors the slice at
    its border.
    """
    difference = image - reconstruction
    if settings.side == "both":
        difference = np.abs(difference)
    else:
        difference = np.maximum(difference if settings.side == "bright" else -difference, 0)
    if settings.kernel > 1:
        line = window(settings.kernel)
        for axis in (2, 3):
            difference = ndimage.correlate1d(difference, line, axis, mode="mirror")
    out: NDArray[np.float32] = difference if foreground is None else difference * foreground
    return out.astype(np.float32, copy=False)


def window(kernel: int) -> NDArray[np.float64]:
    """Weights of the blur along one axis, of sum 1. Raises `ValueError`: the window has an even side."""
    if kernel % 2 == 0:
        raise ValueError(f"the blurring window must have an odd side, not {kernel}")
    weight = np.exp(-0.5 * ((np.arange(kernel) - kernel // 2) / _SIGMA_PX) ** 2)
    return np.asarray(weight / weight.sum())

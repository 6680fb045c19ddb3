"""How far a reconstruction is from its slice: one definition for training, thresholds, tests and results.

Published: absolute error, blurred by a 5x5 Gaussian of sigma 4 pixels (practically a mean filter), multiplied by the
foreground. Its lower training level used the unblurred squared error instead, so that a threshold learned on one map
was applied to another; here every user of an error map calls :func:`error_map`.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from annofree.settings import Settings


class ErrorSettings(Settings):
    """What an error map is.

    Attributes:
        side: "both" takes the absolute error (published); "bright" only where the slice is brighter than its
            reconstruction, as tumour is on FLAIR and T2; "dark" only where it is darker.
        power: 1 as published at test time; 2 squares the error, then units are squared grey levels.
        kernel: Side of the blurring window in pixels; 1 does not blur.
        sigma_px: Standard deviation of the blur in pixels.
    """

    side: Literal["both", "bright", "dark"] = "both"
    power: Literal[1, 2] = 1
    kernel: int = Field(5, ge=1)
    sigma_px: float = Field(4.0, gt=0)


PUBLISHED = ErrorSettings()


def error_map(
    image: Tensor, reconstruction: Tensor, foreground: Tensor | None = None, settings: ErrorSettings = PUBLISHED
) -> Tensor:
    """Error map of slices; differentiable in both.

    Args:
        image: ``(B, C, H, W)`` grey levels 0..1.
        reconstruction: Same shape.
        foreground: Boolean or 0/1, broadcastable to the slices; None takes all pixels.
        settings: The definition.

    Returns:
        ``(B, C, H, W)``, 0 outside the foreground, in grey levels (squared for power 2). The blur mirrors the slice at
        its border.
    """
    difference = image - reconstruction
    if settings.side == "both":
        difference = difference.abs()
    else:
        difference = functional.relu(difference if settings.side == "bright" else -difference)
    if settings.power == 2:
        difference = difference.square()
    if settings.kernel > 1:
        difference = _blur(difference, settings.kernel, settings.sigma_px)
    return difference if foreground is None else difference * foreground.to(difference.dtype)


def _blur(values: Tensor, kernel: int, sigma: float) -> Tensor:
    if kernel % 2 == 0:
        raise ValueError(f"the blurring window must have an odd side, not {kernel}")
    channels, half = values.shape[1], kernel // 2
    line = torch.tensor(_weights(kernel, sigma), dtype=values.dtype, device=values.device)
    padded = functional.pad(values, (half, half, half, half), mode="reflect")
    rows = functional.conv2d(padded, line.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return functional.conv2d(rows, line.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


@cache
def _weights(kernel: int, sigma: float) -> tuple[float, ...]:
    place = torch.arange(kernel, dtype=torch.float64) - kernel // 2
    weight = torch.exp(-0.5 * (place / sigma) ** 2)
    return tuple((weight / weight.sum()).tolist())

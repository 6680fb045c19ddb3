"""How far a reconstruction is from its slice, differentiably; `error_map.py` is the same in numpy.

Published: absolute error, blurred by a 5x5 Gaussian of sigma 4 pixels (practically a mean filter), multiplied by the
foreground. Its lower training level used the unblurred squared error instead, so that a threshold learned on one map
was applied to another; here every user of an error map calls :func:`error_map`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from annofree.methods.reconstruction.error_map import PUBLISHED, ErrorSettings, window


def error_map(
    image: Tensor, reconstruction: Tensor, foreground: Tensor | None = None, settings: ErrorSettings = PUBLISHED
) -> Tensor:
    """The numpy form's twin for tensors ``(B, C, H, W)``; differentiable in both."""
    difference = image - reconstruction
    if settings.side == "both":
        difference = difference.abs()
    else:
        difference = functional.relu(difference if settings.side == "bright" else -difference)
    if settings.kernel > 1:
        difference = _blur(difference, settings.kernel)
    return difference if foreground is None else difference * foreground.to(difference.dtype)


def _blur(values: Tensor, kernel: int) -> Tensor:
    channels, half = values.shape[1], kernel // 2
    line = torch.tensor(window(kernel), dtype=values.dtype, device=values.device)
    padded = functional.pad(values, (half, half, half, half), mode="reflect")
    rows = functional.conv2d(padded, line.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return functional.conv2d(rows, line.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)

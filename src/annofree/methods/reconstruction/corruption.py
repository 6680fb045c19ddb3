"""The coarse noise that a denoising autoencoder learns to remove.

Kascenas et al., MIDL 2022: noise on a grid as coarse as lesions, enlarged to the slice. The network cannot tell it from
a lesion, so it removes both.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

#: Standard deviation on the coarse grid, in grey levels of 0..1, and cells a side of that grid, as published.
_DEVIATION, _CELLS = 0.2, 16


def coarse_noise(size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """Noise ``(H, W)`` for one slice: drawn on the coarse grid, enlarged bilinearly, rolled by a random shift.

    The published form rolls all slices of a batch alike; here each has its own shift.
    """
    coarse = torch.from_numpy(rng.normal(0.0, _DEVIATION, (1, 1, _CELLS, _CELLS)))
    fine = functional.interpolate(coarse.float(), size=size, mode="bilinear", align_corners=True)[0, 0]
    shift = (int(rng.integers(size[0])), int(rng.integers(size[1])))
    return torch.roll(fine, shift, dims=(0, 1))


def corrupt(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """A slice ``(C, H, W)`` with coarse noise on its foreground (what is not 0); each channel has its own."""
    size = (clean.shape[1], clean.shape[2])
    noise = torch.stack([coarse_noise(size, rng) for _ in range(clean.shape[0])])
    return clean + noise * (clean > 0)

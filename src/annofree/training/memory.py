"""How much memory a training step takes, and how much there is."""

from __future__ import annotations

import numpy as np

from annofree.networks.dyn_unet import DynUNetSettings

#: Saved numbers a step per voxel and filter, summed over the levels of a residual DynUNet (counted with hooks).
SAVED = 11.0
#: What a step holds beyond the numbers saved for the backward pass.
OVERHEAD = 1.25
#: Weights, their gradients and Adam's two moments, bytes a parameter.
PER_PARAMETER = 16


def estimate_gb(network: DynUNetSettings, patch: tuple[int, int, int], batch: int, *, half: bool = False) -> float:
    """Memory of a training step in 10^9 bytes: what autograd saves, temporaries, weights, gradients and Adam."""
    size = np.asarray(patch, dtype=float)
    saved, parameters, before, volume_before = network.in_channels * size.prod(), 0.0, 0, 0.0
    for stride, kernel, width in zip(network.strides, network.kernel_size, network.filters, strict=True):
        size = size / np.asarray(stride)
        saved += SAVED * width * size.prod()
        inside, volume = before or network.in_channels, float(np.prod(kernel))
        # down: two convolutions and a shortcut; up: a transposed one, two on a doubled input, a shortcut
        parameters += volume * (inside * width + width * width) + inside * width
        parameters += before * width * float(np.prod(stride)) + (3 * volume_before + 2) * before * before
        before, volume_before = width, volume
    bytes_each = 2 if half else 4
    return float(saved * batch * bytes_each * OVERHEAD + parameters * PER_PARAMETER) / 1e9


def memory_gb() -> float:
    """What this machine can give to a training: nine tenths of the graphics memory, else half of the main memory."""
    import os

    import torch

    if torch.cuda.is_available():
        return round(0.9 * torch.cuda.get_device_properties(0).total_memory / 1e9, 1)
    return round(0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def activations_are_half() -> bool:
    """Whether training with precision "auto" computes in two bytes on this machine."""
    import torch

    from annofree.training.fabric import choose

    return choose("auto", torch.device("cuda" if torch.cuda.is_available() else "cpu")) == "bf16-mixed"

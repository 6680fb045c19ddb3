"""What a network sees of a scan: one function for training and for test time, so the two cannot drift apart.

Fifteen channels from four sequences, in the order of :class:`annofree.scan.Modality` (T1, T1C, T2, FLAIR):
four robustly normalised sequences, four smoothed differences to the mirrored side, four presence masks (the brain where
the sequence is there, 0 where it is not), three brain-relative coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SEQUENCES = 4
CHANNELS = 3 * SEQUENCES + 3
CLIP = 8.0
_SAMPLE = 60_000


def normalise(images: Tensor, brain: Tensor) -> Tensor:
    """Robust z of each sequence inside the brain: median and 1.4826 MAD, clipped to +-8, 0 outside the brain.

    A tumour that fills a fifth of the brain moves the median by less than a tenth of the distribution and stretches the
    MAD by about 1.3, whatever its brightness; mean and standard deviation would follow the tumour instead.

    Args:
        images: ``(C, X, Y, Z)`` grey levels; a sequence that is absent is all zero and stays so.
        brain: ``(X, Y, Z)`` boolean.

    Returns:
        ``(C, X, Y, Z)`` float32.
    """
    inside = images[:, brain].float()
    stride = max(1, inside.shape[1] // _SAMPLE)
    sample = inside[:, ::stride]
    out = torch.zeros(images.shape, dtype=torch.float32, device=images.device)
    if sample.shape[1] == 0:
        return out
    centre = sample.median(dim=1, keepdim=True).values
    scale = 1.4826 * (sample - centre).abs().median(dim=1, keepdim=True).values
    # beyond the median absolute deviation as in `annofree.intensity.robust_level`
    outer, ranked = int(0.05 * (sample.shape[1] - 1)), sample.sort(dim=1).values
    wide = (ranked[:, -1 - outer, None] - ranked[:, outer, None]) / 3.2897
    scale = torch.where(scale > 0.05 * wide, scale, wide)
    scale = torch.where(scale > 0, scale, sample.std(dim=1, keepdim=True, unbiased=False))
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    present = (images != 0).flatten(1).any(dim=1).view(-1, 1)
    out[:, brain] = ((inside - centre) / scale).clamp(-CLIP, CLIP) * present
    return out


def contrast_power(normalised: Tensor, power: Tensor) -> Tensor:
    """Normalised grey levels ``(C, X, Y, Z)`` with bent contrast: a power ``(C,)`` on the distance from the darkest.

    1 changes nothing, order is always kept.
    """
    floor = 4.0
    lifted = (normalised + floor).clamp_min(0.0) / floor
    return floor * (lifted ** power.view(-1, 1, 1, 1)) - floor


def mirror_x(volumes: Tensor, brain: Tensor) -> Tensor:
    """Volumes reflected across the brain's own midline.

    The midline is the least-squares plane ``x = a + b y + c z`` through the brain mask, which for a mirror-symmetric
    brain is its plane of symmetry; the reflection runs along x (tilts stay small in prepared scans).

    Args:
        volumes: ``(C, X, Y, Z)``, x from left to right.
        brain: ``(X, Y, Z)`` boolean.

    Returns:
        ``(C, X, Y, Z)``; zero where the opposite point lies outside the array.
    """
    size_x, size_y, size_z = brain.shape
    points = brain.nonzero().double()
    if points.shape[0] < 8:
        return volumes.flip(1)
    mean = points.mean(dim=0)
    offset = points - mean
    normal = offset[:, 1:].T @ offset[:, 1:] + 1e-3 * torch.eye(2, dtype=torch.float64, device=brain.device)
    slope = torch.linalg.solve(normal, offset[:, 1:].T @ offset[:, 0]).clamp(-0.5, 0.5).float()
    middle = mean.float()
    y = torch.arange(size_y, device=brain.device) - middle[1]
    z = torch.arange(size_z, device=brain.device) - middle[2]
    plane = middle[0] + slope[0] * y[:, None] + slope[1] * z[None, :]
    opposite = 2.0 * plane[None] - torch.arange(size_x, device=brain.device)[:, None, None]
    low = opposite.floor()
    weight = (opposite - low).to(volumes.dtype)
    low_index = low.long()
    valid = (low_index >= 0) & (low_index < size_x - 1)
    low_index = low_index.clamp(0, size_x - 2)
    channels = volumes.shape[0]
    left = volumes.gather(1, low_index.expand(channels, -1, -1, -1))
    right = volumes.gather(1, (low_index + 1).expand(channels, -1, -1, -1))
    out: Tensor = torch.lerp(left, right, weight.expand(channels, -1, -1, -1)) * valid
    return out


def coordinates(brain: Tensor) -> Tensor:
    """Position ``(3, X, Y, Z)`` in a brain ``(X, Y, Z)``: distance from the midline, front-back and height.

    Each is about -1 to 1, and 0 outside the brain.
    """
    out = torch.zeros((3, *brain.shape), device=brain.device)
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        line = torch.arange(brain.shape[axis], device=brain.device, dtype=torch.float32)
        count = brain.sum(dim=others).float()
        total = count.sum().clamp_min(1.0)
        middle = (line * count).sum() / total
        spread = (((line - middle) ** 2 * count).sum() / total).sqrt().clamp_min(1.0)
        place = (line - middle) / (2.0 * spread)
        shape = [1, 1, 1]
        shape[axis] = -1
        out[axis] = (place.abs() if axis == 0 else place).view(shape)
    return out * brain


def network_input(normalised: Tensor, brain: Tensor, present: Tensor) -> Tensor:
    """The channels of one scan, ``(15, X, Y, Z)`` float32.

    Args:
        normalised: ``(4, X, Y, Z)`` from :func:`normalise`.
        brain: ``(X, Y, Z)`` boolean.
        present: ``(4,)`` boolean, which sequences are there.
    """
    inside = brain.float()
    flags = present.to(normalised.device).float().view(-1, 1, 1, 1)
    images = normalised * flags
    opposite = mirror_x(torch.cat([images, inside[None]]), brain)
    both = inside * (opposite[-1] > 0.99)
    difference = functional.avg_pool3d(((images - opposite[:-1]) * both)[None], 3, stride=1, padding=1)[0] * inside
    return torch.cat([images, difference, flags * inside, coordinates(brain)])

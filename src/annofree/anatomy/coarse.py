"""Volumes averaged to large voxels: enough to see where a brain lies, and fast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annofree.masks import Box, bounding_box

#: Voxel size at which brains are aligned.
GRID_MM = 4.0


def block_factor(spacing_mm: NDArray[np.float64], target_mm: float) -> NDArray[np.int_]:
    """How many voxels to join along each axis to come near a voxel size in mm."""
    return np.maximum(1, np.round(target_mm / np.asarray(spacing_mm))).astype(int)


def block_box(mask: NDArray[np.bool_], factor: NDArray[np.int_], margin: int) -> Box:
    """A box around a mask that is cut between blocks of voxels, and so many blocks wider; all of it for an empty mask.

    Blocks of what is in the box are blocks of the whole.
    """
    whole = slice(0, mask.shape[0]), slice(0, mask.shape[1]), slice(0, mask.shape[2])
    x, y, z = (
        slice(max(0, axis.start // f - margin) * f, min(size, (-(-axis.stop // f) + margin) * f))
        for axis, f, size in zip(bounding_box(mask) or whole, factor.tolist(), mask.shape, strict=True)
    )
    return x, y, z


def block_mean(volume: NDArray[np.float32], factor: NDArray[np.int_]) -> NDArray[np.float32]:
    """Means over blocks of voxels; the volume is padded with zeros to whole blocks.

    Block `i` has its centre at voxel `i * factor + (factor - 1) / 2`.
    """
    pad = [(0, int(-n % f)) for n, f in zip(volume.shape, factor, strict=True)]
    joined = np.pad(volume, pad) if any(after for _, after in pad) else volume
    for axis, f in reversed(list(enumerate(factor.tolist()))):
        # adding every f-th plane to the ones before takes a quarter of the time of a mean over a short axis
        before = (slice(None),) * axis
        total = joined[(*before, slice(0, None, f))].astype(np.float32)
        for place in range(1, f):
            total += joined[(*before, slice(place, None, f))]
        joined = total / np.float32(f) if f > 1 else total
    return joined


def coarse_brain(
    image: NDArray[np.float32], brain: NDArray[np.bool_], affine: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Image (0..1, 0 outside the brain) and brain share of voxels of about 4 mm, and their affine."""
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    factor = block_factor(spacing, GRID_MM)
    share = block_mean(brain.astype(np.float32), factor)
    values = image[brain]
    low, high = np.percentile(values[:: max(1, values.size // 100_000)], (1, 99)) if values.size else (0.0, 1.0)
    scaled = np.zeros(image.shape, dtype=np.float32)
    scaled[brain] = np.clip((values - low) / max(float(high - low), 1e-12), 0.0, 1.0) * 0.9 + 0.1
    mean = block_mean(scaled, factor)
    joined = affine.copy()
    joined[:3, :3] = affine[:3, :3] * factor
    joined[:3, 3] = affine[:3, 3] + affine[:3, :3] @ ((factor - 1) / 2.0)
    return mean, share, joined

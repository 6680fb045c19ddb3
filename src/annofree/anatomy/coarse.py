"""Volumes averaged to large voxels: enough to see where a brain lies, and fast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def block_factor(spacing_mm: NDArray[np.float64], target_mm: float) -> NDArray[np.int_]:
    """How many voxels to join along each axis to come near a voxel size in mm."""
    return np.maximum(1, np.round(target_mm / np.asarray(spacing_mm))).astype(int)


def block_mean(volume: NDArray[np.float32], factor: NDArray[np.int_]) -> NDArray[np.float32]:
    """Means over blocks of voxels; the volume is padded with zeros to whole blocks.

    Block `i` has its centre at voxel `i * factor + (factor - 1) / 2`.
    """
    pad = [(0, int(-n % f)) for n, f in zip(volume.shape, factor, strict=True)]
    padded = np.pad(volume, pad) if any(after for _, after in pad) else volume
    for axis, f in reversed(list(enumerate(factor))):
        if f == 1:
            continue
        head, tail = padded.shape[:axis], padded.shape[axis + 1 :]
        padded = padded.reshape((*head, padded.shape[axis] // int(f), int(f), *tail)).mean(axis=axis + 1)
    return np.asarray(padded, dtype=np.float32)

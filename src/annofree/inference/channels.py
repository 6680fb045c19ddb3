"""What a volumetric network sees of a scan: one function for training and for use, so the two cannot drift apart.

Fifteen channels from four sequences, in the order of `annofree.scan.Modality` (T1, T1C, T2, FLAIR): four robustly
normalised sequences, four smoothed differences to the mirrored side, four presence masks (the brain where the sequence
is there, 0 where it is not), three brain-relative coordinates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.intensity import robust_level
from annofree.masks import Mask

Floats = NDArray[np.float32]

SEQUENCES = 4
CHANNELS = 3 * SEQUENCES + 3
CLIP = 8.0
_SAMPLE = 60_000


def normalise(images: Floats, brain: Mask) -> Floats:
    """Robust z of each sequence inside the brain: median and 1.4826 MAD, clipped to +-8, 0 outside the brain.

    A tumour that fills a fifth of the brain moves the median by less than a tenth of the distribution and stretches the
    MAD by about 1.3, whatever its brightness; mean and standard deviation would follow the tumour instead.

    Args:
        images: (C, X, Y, Z) grey levels; a sequence that is absent is all zero and stays so.
        brain: (X, Y, Z) boolean.

    Returns:
        (C, X, Y, Z) float32.
    """
    out = np.zeros(images.shape, dtype=np.float32)
    for image, target in zip(images, out, strict=True):
        inside = image[brain].astype(np.float32, copy=False)
        sample = inside[:: max(1, inside.size // _SAMPLE)]
        if sample.size == 0 or not image.any():
            continue
        centre, scale = (np.float32(level) for level in robust_level(sample, _lower_median))
        target[brain] = np.clip((inside - centre) / scale, -CLIP, CLIP)
    return out


def _lower_median(values: NDArray[Any]) -> np.float32:
    """The lower of the two middle values."""
    middle = (values.size - 1) // 2
    return np.float32(np.partition(values, middle)[middle])


def contrast_power(normalised: Floats, power: float | Floats) -> Floats:
    """Normalised grey levels (C, X, Y, Z) with bent contrast: a power on the distance from the darkest plausible level.

    One power for all, or (C,); 1 changes nothing, order is always kept.
    """
    floor = np.float32(4.0)
    lifted = np.maximum(normalised + floor, np.float32(0.0)) / floor
    exponent = np.float32(power) if np.ndim(power) == 0 else np.asarray(power).reshape(-1, 1, 1, 1)
    bent: Floats = floor * lifted**exponent - floor
    return bent


def mirror_x(volumes: Floats, brain: Mask) -> Floats:
    """Volumes (C, X, Y, Z) reflected along x across the midline, the least-squares plane through the brain mask.

    For a mirror-symmetric brain that is its plane of symmetry; tilts stay small in prepared scans. The answer is zero
    where the opposite point lies outside the array.
    """
    points = np.argwhere(brain).astype(np.float64)
    if len(points) < 8:
        return volumes[:, ::-1].copy()
    size_x, size_y, size_z = brain.shape
    mean = points.mean(axis=0)
    offset = points - mean
    normal = offset[:, 1:].T @ offset[:, 1:] + 1e-3 * np.eye(2)
    slope = np.clip(np.linalg.solve(normal, offset[:, 1:].T @ offset[:, 0]), -0.5, 0.5).astype(np.float32)
    middle = mean.astype(np.float32)
    y = np.arange(size_y, dtype=np.float32) - middle[1]
    z = np.arange(size_z, dtype=np.float32) - middle[2]
    plane = middle[0] + slope[0] * y[:, None] + slope[1] * z[None, :]
    opposite = np.float32(2.0) * plane[None] - np.arange(size_x, dtype=np.float32)[:, None, None]
    low = np.floor(opposite)
    weight = opposite - low
    index = low.astype(np.intp)
    valid = (index >= 0) & (index < size_x - 1)
    index = np.clip(index, 0, size_x - 2)
    out = np.empty(volumes.shape, dtype=np.float32)
    for volume, target in zip(volumes, out, strict=True):
        left = np.take_along_axis(volume, index, axis=0)
        right = np.take_along_axis(volume, index + 1, axis=0)
        target[:] = (left + weight * (right - left)) * valid
    return out


def coordinates(brain: Mask) -> Floats:
    """Brain-relative position (3, X, Y, Z), each about -1 to 1 and 0 outside the brain.

    They are the distance from the midline, front-back and height.
    """
    out = np.zeros((3, *brain.shape), dtype=np.float32)
    for axis in range(3):
        place = along(brain.sum(axis=tuple(a for a in range(3) if a != axis)))
        shape = [1, 1, 1]
        shape[axis] = -1
        out[axis] = (np.abs(place) if axis == 0 else place).reshape(shape) * brain
    return out


def along(count: NDArray[Any]) -> Floats:
    """How far each slice lies from the brain's middle, about -1 to 1, by the brain's voxels in each."""
    line = np.arange(len(count), dtype=np.float64)
    total = max(float(count.sum()), 1.0)
    middle = float((line * count).sum()) / total
    spread = max(float(np.sqrt(((line - middle) ** 2 * count).sum() / total)), 1.0)
    return ((line - middle) / (2.0 * spread)).astype(np.float32)


def network_input(normalised: Floats, brain: Mask, present: Mask) -> Floats:
    """The channels of one scan: its `normalise`d images (4, X, Y, Z), boolean brain and sequences that are there (4,).

    Returns:
        (15, X, Y, Z) float32: sequences, smoothed differences to the mirrored side, presence masks, coordinates.
    """
    inside = brain.astype(np.float32)
    out = np.zeros((CHANNELS, *brain.shape), dtype=np.float32)
    at_hand = np.flatnonzero(present)
    images = normalised[at_hand]
    opposite = mirror_x(np.concatenate([images, inside[None]]), brain)
    both = inside * (opposite[-1] > 0.99)
    for place, image, mirrored in zip(at_hand, images, opposite[:-1], strict=True):
        out[place] = image
        # zeros beyond the array, and a mean over all 27 voxels there too
        difference = ndimage.uniform_filter((image - mirrored) * both, 3, mode="constant")
        out[SEQUENCES + place] = difference * inside
        out[2 * SEQUENCES + place] = inside
    out[3 * SEQUENCES :] = coordinates(brain)
    return out

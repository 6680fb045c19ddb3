"""Telling a label map from an image by its voxels, where the names leave it open."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Neighbours inside a label map have the same value nearly always; grey levels of any depth seldom do.
MIN_EQUAL_NEIGHBOURS = 0.6
#: No sequence has so few grey levels.
FEW_VALUES = 8


def look_like_labels(array: NDArray[Any]) -> bool:
    """Whether voxels look like a mask, a label map or a map of probabilities."""
    if has_few_values(array):
        return True
    values = np.asarray(array, dtype=np.float32)
    background = np.float32(0) if (values == 0).any() else values.min()
    inside = values != background
    if values.min() >= 0 and values.max() <= 1:
        return bool((np.abs(values[inside] - 0.5) > 0.4).mean() > 0.5)
    both = inside[1:] & inside[:-1]
    if not both.any():
        return False
    return bool((values[1:] == values[:-1])[both].mean() >= MIN_EQUAL_NEIGHBOURS)


def has_few_values(array: NDArray[Any]) -> bool:
    """Whether an array holds at most `FEW_VALUES` different values."""
    sample = np.unique(array[tuple(slice(None, None, max(1, n // 24)) for n in array.shape)])
    return len(sample) <= FEW_VALUES and len(np.unique(array)) <= FEW_VALUES

"""Telling a label map from an image by its voxels, where the names leave it open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError

#: Neighbours inside a label map have the same value nearly always; grey levels of any depth seldom do.
MIN_EQUAL_NEIGHBOURS = 0.6
#: No sequence has so few grey levels.
FEW_VALUES = 8
#: Where the largest grey level of an image lies: squares of larger ones, summed, leave single precision, and smaller
#: ones are lost beside the least divisors.
_PLAUSIBLE = (1e-6, 1e15)


def refuse_no_picture(array: NDArray[Any], file: str | Path, what: str = "") -> None:
    """Refuse an image with values that are not numbers, one value only, or absurd ones; `what` names the array."""
    # the sum is NaN or infinite as soon as one value is, and needs no array beside it
    if not np.isfinite(array.sum(dtype=np.float64)) and not (finite := np.isfinite(array)).all():
        raise InputError(
            "An image holds values that are not numbers",
            file=file,
            why=f"{array.size - int(finite.sum())} of {array.size} voxels{what and f' of {what}'} are NaN or infinite",
            fix="Replace them (for instance with 0 outside the brain) and try again",
        )
    low, high = float(array.min()), float(array.max())
    if low == high:
        said = "is all zero" if array.flat[0] == 0 else f"has the one value {array.flat[0]:g} everywhere"
        raise InputError("An image is empty", file=file, why=f"{what or 'it'} {said}", fix="Export the scan again")
    if not _PLAUSIBLE[0] <= max(abs(low), abs(high)) <= _PLAUSIBLE[1]:
        raise InputError(
            "An image holds values that are no grey levels",
            file=file,
            why=f"{what or 'it'} reaches from {low:.3g} to {high:.3g}; a damaged file or a wrong data type looks so",
            fix="Export it again, or multiply all of it by one number",
        )


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

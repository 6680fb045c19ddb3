"""Masks: the box around one, and its connected components. Voxels touch by face (6), edge too (18) or corner too (26).

A lesion fills a small part of a head, so nearly all work can be done in its box.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.grid import Box as Box

Mask = NDArray[np.bool_]

#: Connectivity to scipy's.
_RANK = {6: 1, 18: 2, 26: 3}


def as_mask(array: NDArray[Any], what: str = "mask") -> Mask:
    """An array of 0 and 1 as the boolean mask that it stands for; a boolean one as it is.

    Raises:
        InputError: It holds other values, which would be read as numbers of voxels, bits or labels.
    """
    array = np.asarray(array)
    if array.dtype == bool:
        return array
    if not np.isin(array, (0, 1)).all():
        other = next(value for value in np.unique(array).tolist() if value not in (0, 1))
        raise InputError(f"A {what} holds {other}", why="it has to be boolean", fix="Pass labels > 0, or labels == 1")
    return array.astype(bool)


def both_masks(truth: NDArray[Any], prediction: NDArray[Any]) -> tuple[Mask, Mask]:
    """Truth and prediction as boolean masks of one shape.

    Raises:
        InputError: One is no mask, or their shapes differ.
    """
    first, second = as_mask(truth, "truth"), as_mask(prediction, "prediction")
    if first.shape != second.shape:
        raise InputError(
            f"The prediction has shape {second.shape} and the truth {first.shape}",
            fix="Put both on one grid before scoring",
        )
    return first, second


def bounding_box(mask: NDArray[Any], margin_vox: int | Sequence[int] = 0) -> Box | None:
    """Smallest box around the non-zero voxels of an (X, Y, Z) array, grown by a margin inside the array.

    Returns:
        Three slices, or None when everything is zero.
    """
    in_x = np.flatnonzero(np.any(mask, axis=(1, 2)))
    if not in_x.size:
        return None
    slab = np.any(mask[in_x[0] : in_x[-1] + 1], axis=0)
    spans = in_x, np.flatnonzero(np.any(slab, axis=1)), np.flatnonzero(np.any(slab, axis=0))
    x, y, z = (slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    return widened((x, y, z), margin_vox, mask.shape)


def widened(box: Sequence[slice], margin_vox: int | Sequence[int], shape: Sequence[int]) -> Box:
    """A box grown by a margin on every side, clipped to an array of that shape."""
    margins = (margin_vox,) * 3 if isinstance(margin_vox, int) else margin_vox
    x, y, z = (
        slice(max(0, axis.start - int(margin)), min(size, axis.stop + int(margin)))
        for axis, margin, size in zip(box, margins, shape, strict=True)
    )
    return x, y, z


def around(*boxes: Box) -> Box:
    """The smallest box that holds all the given ones."""

    def both(a: Box, b: Box) -> Box:
        x, y, z = (slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a, b, strict=True))
        return x, y, z

    return reduce(both, boxes)


def joint_box(first: NDArray[Any], second: NDArray[Any], margin_vox: int = 0) -> Box | None:
    """The box around the non-zero voxels of either array; None when both are empty."""
    boxes = [box for box in (bounding_box(first, margin_vox), bounding_box(second, margin_vox)) if box is not None]
    return around(*boxes) if boxes else None


def margin_for(mm: float, spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    """Voxels per axis that cover a distance in mm, and one more."""
    x, y, z = (int(np.ceil(mm / step)) + 1 for step in spacing_mm)
    return x, y, z


def away_mm(mask: Mask, spacing_mm: Sequence[float]) -> NDArray[np.float32]:
    """Distance of each voxel's centre from the nearest one in a mask, mm: 0 inside, infinite where the mask is empty.

    Exact (Maurer et al., IEEE TPAMI 25(2), 2003), by SimpleITK in about half the time of SciPy.

    Example:
        >>> away_mm(np.array([[[True, False, False]]]), (1.0, 1.0, 2.0)).tolist()
        [[[0.0, 2.0, 4.0]]]
    """
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    import SimpleITK

    sitk: Any = SimpleITK
    image = sitk.GetImageFromArray(np.ascontiguousarray(mask).view(np.uint8))
    image.SetSpacing([float(edge) for edge in reversed(spacing_mm)])
    signed = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    away: NDArray[np.float32] = np.maximum(sitk.GetArrayViewFromImage(signed), np.float32(0))
    return away


def depth_mm(mask: Mask, spacing_mm: Sequence[float]) -> NDArray[np.float32]:
    """Distance of each voxel of a mask from the nearest one outside (all beyond the array is), mm; 0 outside."""
    depth, box = np.zeros(mask.shape, dtype=np.float32), bounding_box(mask)
    if box is not None:
        depth[box] = away_mm(np.pad(~mask[box], 1, constant_values=True), spacing_mm)[1:-1, 1:-1, 1:-1]
    return depth


def faces(array: NDArray[Any]) -> NDArray[Any]:
    """All values on the six faces of an (X, Y, Z) array; those on its edges count twice."""
    return np.concatenate([np.take(array, end, axis=axis).ravel() for axis in range(3) for end in (0, -1)])


def components(mask: NDArray[Any], connectivity: int = 26) -> tuple[NDArray[np.int32], int]:
    """Connected components: a map of their numbers, 0 for the background, and how many there are.

    Args:
        mask: (X, Y, Z); a slice (X, Y) has 4 neighbours with 6, and 8 with 26.
        connectivity: 6, 18 or 26.

    Example:
        >>> components(np.array([[[1], [0]], [[0], [1]]]))[1], components(np.array([[[1], [0]], [[0], [1]]]), 6)[1]
        (1, 2)
    """
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(mask.ndim, _RANK[connectivity])
    box = bounding_box(mask) if mask.ndim == 3 else (slice(None),) * mask.ndim
    numbers, count = np.zeros(mask.shape, dtype=np.int32), 0
    if box is not None:
        numbers[box], count = ndimage.label(mask[box], structure)
    return numbers, int(count)


class SmoothingInside:
    """A Gaussian inside a mask alone: what lies outside neither brightens nor darkens its edge.

    It is made once for all images of a mask. Source: normalised convolution (Knutsson and Westin, CVPR 1993).

    Args:
        inside: (X, Y, Z), a mask or the share of each voxel.
        sigma: Standard deviation of the Gaussian, of each axis or of all, in the unit of `spacing`; 0 does nothing.
        spacing: Edges of a voxel; voxels are the unit by default.
        least: Where less of the kernel than this share is inside, it is divided by that.
    """

    def __init__(
        self,
        inside: NDArray[Any],
        sigma: float | Sequence[float] | NDArray[Any],
        spacing: float | Sequence[float] = 1.0,
        *,
        least: float,
    ) -> None:
        self._inside, self._sigma_vox = inside, np.asarray(sigma) / np.asarray(spacing)
        self._share = np.maximum(self._gaussian(inside.astype(np.float32)), np.float32(least))

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """The values (X, Y, Z) smoothed; what comes out beyond the mask means little."""
        return np.asarray(self._gaussian(values * self._inside) / self._share)

    def _gaussian(self, values: NDArray[Any]) -> NDArray[Any]:
        from scipy import ndimage

        return np.asarray(ndimage.gaussian_filter(values, self._sigma_vox))


def dice(first: Mask, second: Mask, *, empty: float) -> float:
    """2 |A and B| / (|A| + |B|) of two masks of one shape; `empty` where both are."""
    size = np.count_nonzero(first) + np.count_nonzero(second)
    return 2 * np.count_nonzero(first & second) / size if size else empty


def largest_component(mask: Mask, connectivity: int = 26) -> Mask:
    """The component with most voxels, the first among equals; an empty mask stays empty."""
    numbers, count = components(mask, connectivity)
    if count <= 1:
        return mask
    kept: Mask = numbers == 1 + int(np.argmax(np.bincount(numbers.ravel())[1:]))
    return kept


def components_with(mask: Mask, seeds: Mask, connectivity: int = 26) -> Mask:
    """The components that hold at least one of the seeds."""
    numbers, _ = components(mask, connectivity)
    found = np.unique(numbers[seeds])
    return np.asarray(np.isin(numbers, found[found > 0]))

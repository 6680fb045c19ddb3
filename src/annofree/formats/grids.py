"""From grid to grid: resampling in the world, the choice of a reference, and whether fields of view overlap."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.masks import bounding_box
from annofree.scan import Grid, Modality
from annofree.segmentation import ScoreMap

#: Fields of view that share less than this part of the smaller one are not of one examination of one head.
MIN_OVERLAP = 0.5
#: Among equally fine sequences the one that lesions are read on gives the grid.
_PREFERENCE = (Modality.FLAIR, Modality.T1C, Modality.T2, Modality.T1)


def resample(array: NDArray[Any], from_grid: Grid, to_grid: Grid, order: int, *, outside: float = 0.0) -> NDArray[Any]:
    """Resample an array onto another grid of the same world (SimpleITK; numpy where axes are parallel).

    The transform is composed between voxel indices, so sheared and oblique affines are exact. A point up to half a
    voxel beyond the outermost centres takes the edge's value.

    Args:
        array: (X, Y, Z) on `from_grid`.
        from_grid: Where the array's voxels lie.
        to_grid: Where voxels are wanted.
        order: 0 nearest neighbour (masks, labels), 1 linear, 3 cubic B-spline.
        outside: Value beyond the array's field of view.

    Returns:
        (X', Y', Z'), of the array's own type for order 0, else float32.

    Raises:
        InputError: Shape and grid disagree, or the order is unknown.
    """
    if order not in (0, 1, 3):
        raise InputError(f"Resampling of order {order} does not exist", fix="Use 0 nearest, 1 linear or 3 cubic")
    if array.shape != tuple(from_grid.shape):
        raise InputError(f"An array of shape {array.shape} does not lie on a grid of shape {tuple(from_grid.shape)}")
    stored = array if order == 0 else array.astype(np.float32, copy=False)
    indices = np.linalg.inv(from_grid.affine) @ to_grid.affine
    if order == 1 and outside == 0:
        return _where_it_is_not_zero(stored, indices, tuple(to_grid.shape))
    return _resampled(stored, indices, tuple(to_grid.shape), order, outside)


def _where_it_is_not_zero(
    array: NDArray[np.float32], indices: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Linear interpolation in the part of the target that a brain or a finding in empty space can reach."""
    result = np.zeros(shape, dtype=np.float32)
    box = bounding_box(array, 1)
    if box is None:
        return result
    ends = np.array(list(product(*((axis.start, axis.stop - 1) for axis in box))), dtype=float)
    there = np.linalg.solve(indices[:3, :3], (ends - indices[:3, 3]).T)
    low = np.clip(np.floor(there.min(axis=1)).astype(int) - 1, 0, shape)
    high = np.clip(np.ceil(there.max(axis=1)).astype(int) + 2, low, shape)
    target = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    if (high > low).all():
        part = indices.copy()
        part[:3, 3] += part[:3, :3] @ low - [axis.start for axis in box]
        result[target] = _resampled(array[box], part, tuple((high - low).tolist()), 1, 0.0)
    return result


def _resampled(
    stored: NDArray[Any], indices: NDArray[np.float64], shape: tuple[int, ...], order: int, outside: float
) -> NDArray[Any]:
    """An array (X, Y, Z) at the points that a map (4, 4) from the target's indices to its own gives, see `resample`."""
    if order < 2 and (steps := _along_axes(indices, stored.shape)) is not None:
        return (_linear if order else _nearest)(stored, *steps, shape, outside)
    import SimpleITK

    sitk: Any = SimpleITK
    interpolators = {0: sitk.sitkNearestNeighbor, 1: sitk.sitkLinear, 3: sitk.sitkBSpline3}
    dtype, stored = stored.dtype, stored.view(np.uint8) if stored.dtype == bool else stored
    # A C-ordered (X, Y, Z) array is, to ITK, an image with axes (Z, Y, X); a reversed matrix saves two transpositions.
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(indices[2::-1, 2::-1].ravel().tolist())
    transform.SetTranslation(indices[2::-1, 3].tolist())
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in reversed(shape)])
    resampler.SetTransform(transform)
    resampler.SetInterpolator(interpolators[order])
    resampler.SetDefaultPixelValue(float(outside))
    image = sitk.GetImageFromArray(np.ascontiguousarray(stored))
    result: NDArray[Any] = sitk.GetArrayFromImage(resampler.Execute(image))
    return result.astype(dtype, copy=False)


def on_grid(score: ScoreMap, grid: Grid) -> ScoreMap:
    """A score map on another grid, linearly; the map itself where it lies there already."""
    if score.grid.same_as(grid):
        return score
    return ScoreMap(resample(score.values, score.grid, grid, 1), score.name, score.unit, grid)


def _along_axes(
    indices: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Step and start along each axis, where both grids have the same axes to a thousandth of a voxel; else None."""
    matrix, start = indices[:3, :3], indices[:3, 3]
    skew = np.abs(matrix - np.diag(np.diag(matrix))) / np.abs(np.diag(matrix)).clip(1e-12)
    return (np.diag(matrix), start) if float((skew * np.asarray(shape)).max()) < 1e-3 else None


def _nearest(
    array: NDArray[Any],
    step: NDArray[np.float64],
    start: NDArray[np.float64],
    shape: tuple[int, ...],
    outside: float,
) -> NDArray[Any]:
    """Nearest neighbour; a point halfway between two voxels takes the higher one, whatever rounding does to it."""
    places = [start[axis] + step[axis] * np.arange(shape[axis]) for axis in range(3)]
    nearest = [
        np.floor(place + 0.5 + 1e-6).astype(np.intp).clip(0, size - 1)
        for place, size in zip(places, array.shape, strict=True)
    ]
    picked = array[np.ix_(*nearest)]
    for axis, place in enumerate(places):
        picked[(slice(None),) * axis + (_unseen(place, array.shape[axis]),)] = outside
    return picked


def _unseen(place: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Which points along an axis lie more than half a voxel beyond the outermost centres."""
    return (place < -0.5 - 1e-6) | (place > size - 0.5 + 1e-6)


def _linear(
    array: NDArray[np.float32],
    step: NDArray[np.float64],
    start: NDArray[np.float64],
    shape: tuple[int, ...],
    outside: float,
) -> NDArray[np.float32]:
    """Linear interpolation one axis after the other, each a product with a matrix of two weights a row."""
    given, unseen = array, []
    for axis in sorted(range(3), key=lambda a: shape[a] / array.shape[a]):
        size = array.shape[axis]
        place = start[axis] + step[axis] * np.arange(shape[axis])
        # rounding must not push a voxel's own centre, or an edge, to the wrong side
        place = np.where(np.abs(place - np.rint(place)) < 1e-6, np.rint(place), place)
        unseen.append((axis, _unseen(place, size)))
        place = place.clip(0, size - 1)
        if np.array_equal(place, np.arange(size)):
            continue
        rows, low = np.arange(len(place)), np.floor(place).astype(np.intp)
        weights = np.zeros((len(place), size), dtype=np.float32)
        weights[rows, np.minimum(low + 1, size - 1)] = place - low
        weights[rows, low] = 1.0 - (place - low)
        x, y, z = array.shape
        if axis == 0:
            array = (weights @ array.reshape(x, y * z)).reshape(-1, y, z)
        elif axis == 1:
            array = np.matmul(weights, array)
        else:
            array = (array.reshape(x * y, z) @ weights.T).reshape(x, y, -1)
    array = array.copy() if array is given else array
    for axis, beyond in unseen:
        if beyond.any():
            array[(slice(None),) * axis + (beyond,)] = outside
    return array


def choose_reference(grids: Mapping[Modality, Grid]) -> Modality:
    """The sequence whose grid the scan gets: the finest by its coarsest axis.

    Spacings within 10 % count as equal; then FLAIR goes before T1C, T2 and T1, because lesions are read on it.
    """
    coarsest = {name: max(grid.spacing_mm) for name, grid in grids.items()}
    finest = min(coarsest.values())
    return next(name for name in _PREFERENCE if name in grids and coarsest[name] <= 1.1 * finest)


def overlap(a: Grid, b: Grid) -> float:
    """The part of the smaller field of view that lies inside the other one, 0 to 1."""
    small, large = sorted((a, b), key=lambda grid: grid.voxel_ml * float(np.prod(grid.shape)))
    steps = [(np.arange(12) + 0.5) / 12 * n - 0.5 for n in small.shape]
    points = np.stack([*np.meshgrid(*steps, indexing="ij"), np.ones((12, 12, 12))]).reshape(4, -1)
    inside = np.linalg.inv(large.affine) @ small.affine @ points
    limits = np.asarray(large.shape)[:, None]
    return float(((inside[:3] >= -0.5) & (inside[:3] <= limits - 0.5)).all(axis=0).mean())

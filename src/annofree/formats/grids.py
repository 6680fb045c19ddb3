"""From grid to grid: resampling in the world, the choice of a reference, and whether fields of view overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.scan import Grid, Modality
from annofree.segmentation import ScoreMap

#: Fields of view that share less than this part of the smaller one are not of one examination of one head.
MIN_OVERLAP = 0.5
#: Among equally fine sequences the one that lesions are read on gives the grid.
_PREFERENCE = (Modality.FLAIR, Modality.T1C, Modality.T2, Modality.T1)


def resample(array: NDArray[Any], from_grid: Grid, to_grid: Grid, order: int, *, outside: float = 0.0) -> NDArray[Any]:
    """Resample an array onto another grid of the same world (SimpleITK).

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
    import SimpleITK

    sitk: Any = SimpleITK

    interpolators = {0: sitk.sitkNearestNeighbor, 1: sitk.sitkLinear, 3: sitk.sitkBSpline3}
    if order not in interpolators:
        raise InputError(f"Resampling of order {order} does not exist", fix="Use 0 nearest, 1 linear or 3 cubic")
    if array.shape != tuple(from_grid.shape):
        raise InputError(f"An array of shape {array.shape} does not lie on a grid of shape {tuple(from_grid.shape)}")
    stored = array if order == 0 else array.astype(np.float32, copy=False)
    if stored.dtype == bool:
        stored = stored.view(np.uint8)
    # A C-ordered (X, Y, Z) array is, to ITK, an image with axes (Z, Y, X); a reversed matrix saves two transpositions.
    indices = np.linalg.inv(from_grid.affine) @ to_grid.affine
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(indices[2::-1, 2::-1].ravel().tolist())
    transform.SetTranslation(indices[2::-1, 3].tolist())
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in reversed(to_grid.shape)])
    resampler.SetTransform(transform)
    resampler.SetInterpolator(interpolators[order])
    resampler.SetDefaultPixelValue(float(outside))
    image = sitk.GetImageFromArray(np.ascontiguousarray(stored))
    result: NDArray[Any] = sitk.GetArrayFromImage(resampler.Execute(image))
    return result.astype(bool) if array.dtype == bool and order == 0 else result


def on_grid(score: ScoreMap, grid: Grid) -> ScoreMap:
    """A score map on another grid, linearly; the map itself where it lies there already."""
    if score.grid.same_as(grid):
        return score
    return ScoreMap(resample(score.values, score.grid, grid, 1), score.name, score.unit, grid)


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

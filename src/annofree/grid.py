"""Where voxels lie: grids, and the way from a file's axis order to closest-canonical RAS+ and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Grid:
    """A voxel grid in the world: array shape and voxel-to-world affine.

    Attributes:
        shape: Voxels along each array axis.
        affine: (4, 4) float64, voxel index to scanner mm (RAS+).
    """

    shape: tuple[int, ...]
    affine: Array

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edge lengths in mm, in array-axis order."""
        x, y, z = np.sqrt((np.asarray(self.affine)[:3, :3] ** 2).sum(axis=0))
        return float(x), float(y), float(z)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(np.asarray(self.affine)[:3, :3])) / 1000.0)

    def within(self, box: tuple[slice, ...]) -> Grid:
        """The part of the grid in a box of its voxels, or every so many of them where the box has steps."""
        parts = [range(size)[axis] for size, axis in zip(self.shape, box, strict=True)]
        affine = np.array(self.affine, dtype=np.float64)
        affine[:3, 3] += affine[:3, :3] @ [part.start for part in parts]
        affine[:3, :3] *= [part.step for part in parts]
        return Grid(tuple(map(len, parts)), affine)

    def share_inside(self, places: Array) -> float:
        """Share of places (N, 3), in voxels of this grid, that lie in its field of view."""
        return float(((places >= -0.5) & (places <= np.asarray(self.shape) - 0.5)).all(axis=1).mean())

    def corner_shifts_mm(self, affine: Array) -> Array:
        """(8, 4), homogeneous mm: how far the outermost voxels of this grid lie from where another affine puts them."""
        corners = np.array([[*((np.asarray(self.shape) - 1) * pick), 1] for pick in np.ndindex(2, 2, 2)])
        shifts: Array = corners @ (np.asarray(self.affine) - np.asarray(affine)).T
        return shifts

    def same_as(self, other: Grid, tolerance_mm: float = 1e-2) -> bool:
        """Whether both grids place every voxel at the same point of the world, within a tolerance in mm."""
        same_shape = tuple(self.shape) == tuple(other.shape)
        return same_shape and bool(np.abs(self.corner_shifts_mm(other.affine)).max() <= tolerance_mm)


def shared_part(
    start: Sequence[int], size: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What a window shares with an array: the slices of it in the array, and in the window.

    The window begins at the array's voxel `start`, which may be negative, and is as large as `size` along each axis;
    what it does not share with the array of that `shape` is neither read nor written with these slices.

    Example:
        >>> shared_part([-1], [4], [9])
        ((slice(0, 3, None),), (slice(1, 4, None),))
    """
    spans = [
        (begin, max(0, begin), max(0, begin, min(limit, begin + length)))
        for begin, length, limit in zip(start, size, shape, strict=True)
    ]
    in_array = tuple(slice(low, high) for _, low, high in spans)
    return in_array, tuple(slice(low - begin, high - begin) for begin, low, high in spans)


def apply_affine(affine: Array, points: Array) -> Array:
    """Points (N, 3) taken by an affine (4, 4) from its one space to its other."""
    taken: Array = points @ affine[:3, :3].T + affine[:3, 3]
    return taken


def axis_order(affine: Array) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """How a file's array axes become closest-canonical RAS+ axes.

    Args:
        affine: (4, 4) voxel-to-world of the file.

    Returns:
        `(order, flip)`: canonical axis `i` is file axis `order[i]`, reversed where `flip[i]`. Every world axis gets
        exactly one array axis, the assignment with the largest total alignment.
    """
    from itertools import permutations

    directions = np.asarray(affine, dtype=float)[:3, :3]
    cosines = directions / np.linalg.norm(directions, axis=0, keepdims=True)
    order = max(permutations(range(3)), key=lambda p: sum(round(abs(cosines[i, p[i]]), 9) for i in range(3)))
    flip = tuple(bool(cosines[i, order[i]] < 0) for i in range(3))
    return order, flip  # type: ignore[return-value]


def canonical_grid(native: Grid) -> Grid:
    """The closest-canonical RAS+ grid that covers the same voxels as a file's grid."""
    order, flip = axis_order(native.affine)
    affine = np.eye(4)
    affine[:3, 3] = native.affine[:3, 3]
    for axis, (source, reverse) in enumerate(zip(order, flip, strict=True)):
        step = native.affine[:3, source]
        affine[:3, axis] = -step if reverse else step
        if reverse:
            affine[:3, 3] = affine[:3, 3] + step * (native.shape[source] - 1)
    return Grid(tuple(native.shape[axis] for axis in order), affine)


def to_canonical(array: Array, native: Grid) -> Array:
    """A view of a file-order array in closest-canonical RAS+ order (flips and transposes only)."""
    order, flip = axis_order(native.affine)
    return array.transpose(order)[tuple(slice(None, None, -1 if reverse else None) for reverse in flip)]


def to_native(array: Array, native: Grid) -> Array:
    """The exact inverse of `to_canonical`: back to the file's axis order."""
    order, flip = axis_order(native.affine)
    array = array[tuple(slice(None, None, -1 if reverse else None) for reverse in flip)]
    return np.ascontiguousarray(array.transpose(np.argsort(order)))

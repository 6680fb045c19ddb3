"""A scan at another spacing, and results back on the scan's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.grids import resample
from annofree.masks import Box, bounding_box
from annofree.processes import side_by_side
from annofree.scan import Grid, Scan

__all__ = ["back", "brain_box", "grid_at", "resample", "to_grid", "to_spacing"]

#: Axes coarsened more than this many times are low-passed first; up to it linear interpolation itself averages.
_SMOOTH_BEYOND = 2.05
#: So many voxels are cut off together at most.
_MOST_TOGETHER = 8


def grid_at(grid: Grid, spacing_mm: float | Sequence[float]) -> Grid:
    """The grid of another spacing (mm) whose field of view has the same centre and covers the same extent.

    Raises:
        InputError: A spacing is not positive.
    """
    wanted = np.broadcast_to(np.asarray(spacing_mm, dtype=float), (3,))
    if not np.isfinite(wanted).all() or wanted.min() <= 0:
        raise InputError(f"A spacing of {spacing_mm} mm does not exist", fix="Give millimetres above 0")
    own, shape = np.asarray(grid.spacing_mm), np.asarray(grid.shape)
    # A sliver of less than a hundredth of a voxel is rounding, not anatomy.
    new = np.ceil(shape * own / wanted - 0.01).clip(1).astype(int)
    step = wanted / own
    affine = np.array(grid.affine, dtype=float)
    affine[:3, :3] = affine[:3, :3] * step
    middle, new_middle = (shape - 1) / 2, (new - 1) / 2
    affine[:3, 3] = grid.affine[:3, :3] @ middle + grid.affine[:3, 3] - affine[:3, :3] @ new_middle
    return Grid(tuple(new.tolist()), affine)


def brain_box(grid: Grid, brain: NDArray[np.bool_], spacing_mm: float, margin_mm: float) -> Box:
    """A box around the brain, cut so that the part's grid at another spacing is a part of the whole's.

    Where no few voxels make whole steps of that spacing, the box is cut anywhere and the part's grid lies between. The
    brain (X, Y, Z) is not empty, and the margin is the least width of what is kept around it.
    """
    tight, cut = bounding_box(brain, np.ceil(margin_mm / np.asarray(grid.spacing_mm)).astype(int).tolist()), []
    assert tight is not None
    for axis, size, edge in zip(tight, grid.shape, grid.spacing_mm, strict=True):
        together = edge / spacing_mm * np.arange(1, _MOST_TOGETHER + 1)
        whole = np.flatnonzero(np.abs(together - np.rint(together)) < 1e-3)
        step = int(whole[0]) + 1 if whole.size else 1
        cut.append(slice(axis.start // step * step, size - (size - axis.stop) // step * step))
    return cut[0], cut[1], cut[2]


def to_spacing(scan: Scan, spacing_mm: float | Sequence[float]) -> Scan:
    """The scan resampled to a spacing in mm, see `to_grid`."""
    return to_grid(scan, grid_at(scan.grid, spacing_mm))


def to_grid(scan: Scan, target: Grid) -> Scan:
    """The scan on another grid (images linearly, the brain mask by nearest neighbour); itself where it lies there.

    It is worked out once for each grid. `Scan.native` stays the file's grid; `back` brings results onto the original
    scan's grid.
    """
    if target.same_as(scan.grid):
        return scan
    place = f"on the grid {target.shape} {np.asarray(target.affine, dtype=float).tolist()}"
    return scan.once(place, lambda: _on_grid(scan, target))


def _on_grid(scan: Scan, target: Grid) -> Scan:
    factors = np.asarray(target.spacing_mm) / np.asarray(scan.spacing_mm)

    def there(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return resample(low_passed(image, factors), scan.grid, target, 1, outside=float(image[0, 0, 0]))

    images = dict(zip(scan.images, side_by_side(there, scan.images.values()), strict=True))
    brain = None if scan.brain is None else resample(scan.brain, scan.grid, target, 0)
    spacing = " x ".join(f"{s:g}" for s in np.round(target.spacing_mm, 3))
    notes = (*scan.notes, f"Resampled linearly to {spacing} mm.")
    return scan.replace(images=images, affine=target.affine, brain=brain, notes=notes)


def back(array: NDArray[Any], prepared: Scan | Grid, original: Scan | Grid, order: int = 1) -> NDArray[Any]:
    """Bring a result onto the grid that the scan had before `to_spacing`.

    Args:
        array: (X, Y, Z) on the prepared grid; boolean masks and labels need `order=0`.
        prepared: The resampled scan, or its grid.
        original: The scan before, or its grid.
        order: 0 nearest, 1 linear, 3 cubic.

    Returns:
        (X', Y', Z') on the original's canonical grid, 0 outside the prepared field of view.
    """
    source = prepared.grid if isinstance(prepared, Scan) else prepared
    target = original.grid if isinstance(original, Scan) else original
    return resample(array, source, target, order)


def low_passed(image: NDArray[np.float32], factors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Gaussian low-pass whose width makes a fine voxel's profile that of a coarse one (Cardoso et al. 2015, eq. 4)."""
    from scipy import ndimage

    for axis, factor in enumerate(factors):
        if factor > _SMOOTH_BEYOND:
            image = ndimage.gaussian_filter1d(image, np.sqrt(factor**2 - 1) / 2.3548, axis=axis, truncate=3.0)
    return image

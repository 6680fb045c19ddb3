"""Masks, labels and scores on another grid, averaged where its voxels are larger, so that volumes stay."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.formats.grids import resample
from annofree.labels import NESTED, REGIONS
from annofree.scan import Grid


def carried_labels(
    labels: NDArray[np.uint8], regions: Collection[str], own: Grid, grid: Grid, movement: NDArray[Any]
) -> NDArray[np.uint8]:
    """Labels (X, Y, Z) on another grid, for the regions that they tell apart; other arguments as `carried_mask`.

    Each region is carried as an indicator, narrower ones inside wider ones, so that volumes stay within 1 %.
    """
    found = np.zeros(grid.shape, np.uint8)
    inside: NDArray[np.bool_] | None = None
    for region, label in NESTED:
        if region in regions:
            mask = carried_mask(np.isin(labels, REGIONS[region]), own, grid, movement)
            inside = mask if inside is None else mask & inside
            found[inside] = label
    return found


def carried_mask(
    mask: NDArray[np.bool_] | NDArray[np.float32], own: Grid, grid: Grid, movement: NDArray[Any]
) -> NDArray[np.bool_]:
    """A mask on another grid, of the same volume as far as it lies inside that grid.

    Its indicator is carried as a float and averaged over the voxels there. As many voxels as that adds up to are taken,
    fullest first: a cut near one half. At exactly one half, thin and small parts lose volume on thick slices (2.4 % of
    a glioma from one grid with slices of 5.5 mm to another).

    Args:
        mask: (X, Y, Z) on `own`, or the share of each voxel that lies inside.
        own: The mask's grid, in its own world.
        grid: The grid wanted, in its world.
        movement: (4, 4) from the world of `own` to that of `grid`.
    """
    share = carried_scores(mask.astype(np.float32), own, grid, movement).ravel()
    touched = np.flatnonzero(share > 0)
    fullest = touched[np.argsort(-share[touched], kind="stable")]
    found = np.zeros(share.size, dtype=bool)
    found[fullest[: int(np.rint(share.sum(dtype=np.float64)))]] = True
    return found.reshape(grid.shape)


def carried_scores(values: NDArray[np.float32], own: Grid, grid: Grid, movement: NDArray[Any]) -> NDArray[np.float32]:
    """Scores on another grid, averaged over the voxels there; 0 where there are none. Arguments as `carried_mask`."""
    there = Grid(grid.shape, np.linalg.inv(movement) @ grid.affine)
    fine = np.ceil(np.round(coarser(there, own) ** -1, 6)).clip(1, 8).astype(int)
    # every coarse voxel is the mean of a block of finer ones that are about as large as the mask's
    step = np.array(there.affine, dtype=float)
    step[:3, :3] = step[:3, :3] / fine
    step[:3, 3] = there.affine[:3, 3] - there.affine[:3, :3] @ ((fine - 1) / 2 / fine)
    found = resample(values, own, Grid(tuple((np.asarray(grid.shape) * fine).tolist()), step), 1)
    blocks = found.reshape(grid.shape[0], fine[0], grid.shape[1], fine[1], grid.shape[2], fine[2])
    return np.asarray(blocks.mean(axis=(1, 3, 5)), dtype=np.float32)


def coarser(own: Grid, other: Grid) -> NDArray[np.float64]:
    """How many times as long as a voxel of `own` one of `other` is, along each axis of `own`."""
    directions = np.asarray(own.affine)[:3, :3] / np.asarray(own.spacing_mm)
    voxels_per_mm = np.linalg.norm(np.linalg.inv(np.asarray(other.affine)[:3, :3]) @ directions, axis=0)
    return np.asarray(1.0 / voxels_per_mm / np.asarray(own.spacing_mm))

"""Distances between the surfaces of two masks in mm: Hausdorff, its percentiles, surface Dice.

Two kinds of surface are in use and give slightly different numbers; both are here and named:

- *voxel*: the voxels of a mask that have a background voxel among their six neighbours, all of equal weight
  (Metrics Reloaded, MONAI). `hd_mm` and `hd95_mm` of a case use it.
- *area*: surface elements between voxels, weighted by area (see `surfels`). Surface Dice and the 2023 lesion-wise
  HD95 use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from annofree.errors import InputError
from annofree.masks import as_mask, both_masks, joint_box
from annofree.metrics.surfels import surfel_areas, surfel_codes

Spacing = tuple[float, float, float]

#: What a voxel size and a tolerance must be, for `checked`.
VOXEL_SIZE, TOLERANCE = "voxel size must be three positive numbers in mm", "tolerance must be a positive number of mm"

#: Above this many queries one distance transform of the whole box is quicker than a search tree (measured: a tree
#: takes 2 us a near and 40 us a far query, a transform 0.15 us a voxel).
_MANY_POINTS = 50_000


@dataclass(frozen=True, eq=False)
class Surface:
    """Points of a surface.

    Attributes:
        indices: (3, N) positions on a grid of `shape`.
        weights: (N,) area in mm2, or ones.
        shape: Grid that the indices refer to.
    """

    indices: NDArray[np.intp]
    weights: NDArray[np.float64]
    shape: tuple[int, ...]


def area_surface(mask: NDArray[np.bool_], spacing_mm: Spacing) -> Surface:
    """Surface elements of a boolean (X, Y, Z) mask, weighted by area."""
    codes = surfel_codes(as_mask(mask))
    where = np.flatnonzero((codes != 0) & (codes != 255))
    weights = surfel_areas(spacing_mm)[codes.reshape(-1)[where]]
    return Surface(np.array(np.unravel_index(where, codes.shape)), weights, codes.shape)


def voxel_surface(mask: NDArray[np.bool_]) -> Surface:
    """Border voxels of a boolean (X, Y, Z) mask; beyond its edge there is background."""
    mask = as_mask(mask)
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for shift in (0, 2):
            window = [slice(1, -1)] * 3
            window[axis] = slice(shift, shift + mask.shape[axis])
            inner &= padded[tuple(window)]
    where = np.flatnonzero(mask & ~inner)
    return Surface(np.array(np.unravel_index(where, mask.shape)), np.ones(where.size), mask.shape)


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distance in mm from each surface point to the other surface, nearest first, with the points' weights."""

    truth_mm: NDArray[np.float64]
    truth_weights: NDArray[np.float64]
    prediction_mm: NDArray[np.float64]
    prediction_weights: NDArray[np.float64]

    @property
    def hausdorff_mm(self) -> float:
        """The largest distance from either surface to the other."""
        return float(max(self.truth_mm[-1], self.prediction_mm[-1]))

    def hd95_mm(self) -> float:
        """Larger of the two directed 95th percentiles, linear between points of equal weight (voxel surfaces)."""
        return float(max(np.percentile(self.truth_mm, 95), np.percentile(self.prediction_mm, 95)))

    def pooled_hd95_mm(self) -> float:
        """95th percentile of the distances of both directions taken together: medpy's and panoptica's HD95."""
        return float(np.percentile(np.concatenate([self.truth_mm, self.prediction_mm]), 95))

    def mean_share_within(self, tolerance_mm: float) -> float:
        """Mean over both directions of the share of surface points within the tolerance: panoptica's NSD."""
        return float((np.mean(self.truth_mm <= tolerance_mm) + np.mean(self.prediction_mm <= tolerance_mm)) / 2)

    def area_hd95_mm(self) -> float:
        """Larger of the two directed distances within which 95 % of the surface's area lies."""
        return max(
            _area_hd95_mm(self.truth_mm, self.truth_weights),
            _area_hd95_mm(self.prediction_mm, self.prediction_weights),
        )

    def surface_dice(self, tolerance_mm: float) -> float:
        """Share of both surfaces' area that lies within the tolerance of the other surface."""
        within = self.truth_weights[self.truth_mm <= tolerance_mm].sum()
        within += self.prediction_weights[self.prediction_mm <= tolerance_mm].sum()
        return float(within / (self.truth_weights.sum() + self.prediction_weights.sum()))


def checked(values: Sequence[float], what: str, count: int = 1) -> tuple[float, ...]:
    """As many numbers as `count`, as floats; `what` says in a refusal what they must be.

    Raises:
        InputError: They are of another number, or one is not positive and finite.
    """
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not all(0 < number < float("inf") for number in numbers):
        raise InputError(f"The {what}, not {values[0] if count == len(values) == 1 else values}")
    return numbers


def surface_distances(truth: Surface, prediction: Surface, spacing_mm: Spacing) -> SurfaceDistances:
    """Distances between two non-empty surfaces on one grid.

    Raises:
        InputError: One of the surfaces is empty.
    """
    if not truth.weights.size or not prediction.weights.size:
        raise InputError(
            "A surface distance needs two masks with at least one voxel each",
            fix="Decide what an empty mask means with annofree.metrics.EMPTY_CASES",
        )
    ahead = _nearest_mm(truth, prediction, spacing_mm)
    back = _nearest_mm(prediction, truth, spacing_mm)
    first, second = np.argsort(ahead), np.argsort(back)
    return SurfaceDistances(ahead[first], truth.weights[first], back[second], prediction.weights[second])


def hd_mm(truth: NDArray[np.bool_], prediction: NDArray[np.bool_], spacing_mm: Spacing) -> float:
    """Hausdorff distance in mm between the border voxels of two non-empty masks."""
    return _between(truth, prediction, spacing_mm, area=False).hausdorff_mm


def hd95_mm(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_], spacing_mm: Spacing, *, area_weighted: bool = False
) -> float:
    """95 % Hausdorff distance in mm: the larger of the two directed 95th percentiles.

    Masks are boolean (X, Y, Z), not empty. With `area_weighted` surface elements count by their area, as in the 2023
    lesion-wise rule, instead of border voxels.
    """
    between = _between(truth, prediction, spacing_mm, area=area_weighted)
    return between.area_hd95_mm() if area_weighted else between.hd95_mm()


def surface_dice(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_], spacing_mm: Spacing, tolerance_mm: float = 1.0
) -> float:
    """Normalised surface Dice (NSD) of two non-empty masks at a tolerance in mm (Nikolov 2021)."""
    (tolerance_mm,) = checked((tolerance_mm,), TOLERANCE)
    return _between(truth, prediction, spacing_mm, area=True).surface_dice(tolerance_mm)


def _between(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_], spacing_mm: Spacing, *, area: bool
) -> SurfaceDistances:
    truth, prediction = both_masks(truth, prediction)
    checked(spacing_mm, VOXEL_SIZE, 3)
    box = joint_box(truth, prediction)
    masks = (truth, prediction) if box is None else (truth[box], prediction[box])
    first, second = (area_surface(mask, spacing_mm) if area else voxel_surface(mask) for mask in masks)
    return surface_distances(first, second, spacing_mm)


def _nearest_mm(queries: Surface, targets: Surface, spacing_mm: Spacing) -> NDArray[np.float64]:
    if queries.weights.size > _MANY_POINTS:
        away = np.ones(targets.shape, bool)
        away[tuple(targets.indices)] = False
        distances: NDArray[np.float64] = ndimage.distance_transform_edt(away, sampling=spacing_mm)
        return np.asarray(distances[tuple(queries.indices)], dtype=np.float64)
    scale = np.asarray(spacing_mm)
    tree = cKDTree(targets.indices.T * scale, balanced_tree=False, compact_nodes=False)
    nearest: NDArray[np.float64] = tree.query(queries.indices.T * scale)[0]
    return nearest


def _area_hd95_mm(sorted_mm: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    share = np.cumsum(weights) / weights.sum()
    return float(sorted_mm[min(int(np.searchsorted(share, 0.95)), share.size - 1)])

"""The rigid movement between two images of one head, of any contrast, with a number that says how well it fits.

Mutual information (`annofree.anatomy.information`): many starts are tried on coarse voxels, the best one is followed on
finer ones, first without and then with a mask, and whichever solution tells more is kept. The same images give the same
movement to the last bit on any number of cores.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.anatomy.information import (
    climb,
    information,
    itk_image,
    matrix_of,
    one_thread,
    placed,
    search,
    simpleitk,
)
from annofree.grid import apply_affine
from annofree.masks import bounding_box
from annofree.prepare.resample import grid_at, low_passed, resample
from annofree.scan import Grid

Affine = NDArray[np.float64]

#: Spacing at which starts are compared, and that of the answer; a thicker axis of the image is left as it is.
_COARSE_MM, _FINE_MM = 6.0, 2.5
#: Turns tried about each axis, alone, and shifts along the body's axis.
_TURNS_DEG, _LIFTS_MM = 12.0, (-25.0, 25.0)
#: So many starts are followed on coarse voxels.
_FOLLOWED = 2
#: The masked solution may differ from the one without mask by so much inside the mask, no more.
_LARGEST_CORRECTION_MM = 15.0


@dataclass(frozen=True, eq=False)
class Movement:
    """A rigid movement from one image's world to another's.

    Attributes:
        matrix: (4, 4), a point of the fixed image's world in mm to the same anatomy in the moving image's world.
        information: Mutual information of the two images in nats, with the mask where one was given.
        start_information: The same where the headers put the images.
    """

    matrix: Affine
    information: float
    start_information: float

    def moved_mm(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """How far points (N, 3) of the fixed world are from where the headers put them, (N,)."""
        there = apply_affine(self.matrix, points)
        return np.asarray(np.linalg.norm(there - points, axis=1))


def register(
    fixed: NDArray[np.float32],
    fixed_grid: Grid,
    moving: NDArray[np.float32],
    moving_grid: Grid,
    mask: NDArray[np.bool_] | None = None,
    *,
    start: Affine | None = None,
) -> Movement:
    """Find the rigid movement that makes two images, (X, Y, Z) each, tell most about each other.

    `mask` says where the fixed image matters: the brain, dilated by a centimetre. `start` (4, 4) is a movement that is
    nearly right, from which alone to search; None tries many.
    """
    with one_thread():
        coarse, fine = (
            (drawn_coarsely(fixed, fixed_grid, spacing_mm), drawn_coarsely(moving, moving_grid, spacing_mm))
            for spacing_mm in (_COARSE_MM, _FINE_MM)
        )
        region = None if mask is None else region_on(mask, fixed_grid, fine[0])
        centre = centre_of(coarse[0]) if region is None else centre_of(region)
        box = None if region is None else bounding_box(simpleitk().GetArrayViewFromImage(region).transpose(2, 1, 0))
        if region is not None and box is not None:
            # what lies outside the region's box is never compared, and going over it takes a fifth of the time
            region, fine = region[box], (fine[0][box], fine[1])
        starts = _starts(coarse, centre)
        if start is not None:
            starts = [placed(simpleitk().Euler3DTransform(), start, centre)]
        values = [information(coarse, each) for each in starts]
        best = np.argsort(values, kind="stable")[::-1][:_FOLLOWED]
        followed = [climb(coarse, starts[index], step_mm=2.0, least_step_mm=0.02) for index in best]
        leader = max(followed, key=lambda transform: information(coarse, transform))
        plain = search(coarse, leader) if region is not None else search(fine, search(coarse, leader))
        identity = placed(simpleitk().Euler3DTransform(), np.eye(4), centre)
        if region is None:
            return Movement(matrix_of(plain), information(fine, plain), information(fine, identity))
        masked = search(fine, plain, mask=region)
        told = [information(fine, transform, region) for transform in (plain, masked)]
        better = told[1] > told[0] and _apart(plain, masked, region) <= _LARGEST_CORRECTION_MM
        chosen = masked if better else plain
        return Movement(matrix_of(chosen), told[int(better)], information(fine, identity, region))


def drawn_coarsely(array: NDArray[np.float32], grid: Grid, spacing_mm: float) -> Any:
    """The image on straight axes with voxels of at least so many mm, its extreme grey levels clipped."""
    target = _straight(grid_at(grid, [max(own, spacing_mm) for own in grid.spacing_mm]))
    factors = np.asarray(target.spacing_mm) / np.asarray(grid.spacing_mm)
    low, high = np.quantile(array[::2, ::2, ::1], (0.005, 0.995))
    clipped = np.clip(array, low, max(float(high), float(low) + 1e-6))
    return itk_image(resample(low_passed(clipped, factors), grid, target, 1, outside=float(low)), target.affine)


def _straight(grid: Grid) -> Grid:
    """The same grid without shear, turned about its centre: ITK images have none."""
    spacing, affine = np.asarray(grid.spacing_mm), np.array(grid.affine, dtype=float)
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing)
    middle = (np.asarray(grid.shape) - 1) / 2
    centre = affine[:3, :3] @ middle + affine[:3, 3]
    affine[:3, :3] = (left @ right) * spacing
    affine[:3, 3] = centre - affine[:3, :3] @ middle
    return Grid(grid.shape, affine)


def region_on(mask: NDArray[np.bool_], grid: Grid, like: Any) -> Any:
    """A mask on the voxels of an image that `drawn_coarsely` gave."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(like.GetDirection()).reshape(3, 3) * np.asarray(like.GetSpacing())
    affine[:3, 3] = like.GetOrigin()
    target = Grid(like.GetSize(), affine)
    return itk_image(resample(mask, grid, target, 0).astype(np.uint8), target.affine)


def centre_of(image: Any) -> NDArray[np.float64]:
    """Centre of mass in mm; the darkest value weighs nothing."""
    from scipy import ndimage

    values = simpleitk().GetArrayViewFromImage(image).transpose(2, 1, 0).astype(np.float64)
    return np.asarray(image.TransformContinuousIndexToPhysicalPoint(ndimage.center_of_mass(values - values.min())))


def _starts(pair: tuple[Any, Any], centre: NDArray[np.float64]) -> list[Any]:
    """Where the headers put the images, and centre of mass on centre of mass; each also turned and lifted."""
    shift = centre_of(pair[1]) - centre_of(pair[0])
    turns = [np.zeros(3)] + [
        sign * np.eye(3)[axis] * np.deg2rad(_TURNS_DEG) for axis, sign in product(range(3), (-1, 1))
    ]
    lifts = [np.zeros(3)] + [np.array([0.0, 0.0, lift]) for lift in _LIFTS_MM]
    starts = []
    for base in (np.zeros(3), shift):
        for turn, lift in [(turn, lifts[0]) for turn in turns] + [(turns[0], lift) for lift in lifts[1:]]:
            transform = simpleitk().Euler3DTransform()
            transform.SetCenter(centre.tolist())
            transform.SetRotation(*turn.tolist())
            transform.SetTranslation((base + lift).tolist())
            starts.append(transform)
    return starts


def _apart(a: Any, b: Any, region: Any) -> float:
    """Largest distance in mm between two transforms over the corners of a region's box."""
    inside = np.argwhere(simpleitk().GetArrayViewFromImage(region).transpose(2, 1, 0) > 0)
    low, high = inside.min(axis=0), inside.max(axis=0)
    worst = 0.0
    for picks in product((0, 1), repeat=3):
        index = [int((low, high)[pick][axis]) for axis, pick in enumerate(picks)]
        point = region.TransformIndexToPhysicalPoint(index)
        worst = max(worst, float(np.linalg.norm(np.subtract(a.TransformPoint(point), b.TransformPoint(point)))))
    return worst

"""Two examinations of one person: the rigid movement between them, by the brain without the lesion.

Whether both show one person is told by the fine structure of the images: after alignment, folds and ventricles of one
brain lie on each other, those of two brains do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.carried import carried_mask
from annofree.grid import apply_affine
from annofree.masks import SmoothingInside, away_mm
from annofree.prepare.regrid import drawn
from annofree.prepare.resample import grid_at
from annofree.prepare.rigid import Movement, register
from annofree.prepare.work import BRAIN_ORDER
from annofree.scan import Grid, Modality, Scan

#: The region that has to agree is the brain grown by so much, without the lesions grown by so much.
_AROUND_BRAIN_MM, _AROUND_LESION_MM = 10.0, 5.0
#: Structure between these two blurs (standard deviations) is compared, on voxels of at least so many mm.
_FINE_MM, _COARSE_MM, _VOXEL_MM = 2.0, 8.0, 3.0
#: Two persons reach 0.69 in an atlas space (60 pairs of glioma scans, T1 and FLAIR), 0.38 among phantoms; T1 and T1C of
#: one person, further apart than two scans of one sequence, at least 0.76, a phantom's two examinations 0.78.
_LEAST_LIKENESS, SURE_LIKENESS = 0.65, 0.75
#: Less of the smaller brain in both fields of view is no comparison.
_LEAST_SHARED = 0.5


@dataclass(frozen=True, eq=False)
class Visits:
    """How two scans lie to each other.

    Attributes:
        movement: (4, 4), a point of the earlier scan's world in mm to the same anatomy in the later one's.
        modality: The sequence that was registered.
        likeness: Correlation of the fine structure of the two images over the brain, -1 to 1.
        shared: The part of the smaller brain that both scans show, 0 to 1.
        moved_mm: How far the brain had moved from scan to scan, on average.
    """

    movement: NDArray[np.float64]
    modality: Modality
    likeness: float
    shared: float
    moved_mm: float


def align_visits(
    before: Scan, after: Scan, lesion_before: NDArray[np.bool_], lesion_after: NDArray[np.bool_]
) -> Visits:
    """Align a later scan with an earlier one; each lesion is (X, Y, Z) on its scan's grid.

    The first solution knows the earlier lesion only; with it the later one is known there too, and the second solution
    uses neither.

    Raises:
        InputError: The scans have no sequence in common, or do not show the same part of the head or the same person.
    """
    modality = next((name for name in BRAIN_ORDER if name in before.images and name in after.images), None)
    if modality is None:
        raise InputError(
            f"Scans '{before.id}' and '{after.id}' have no sequence in common",
            why=f"one has {', '.join(before.sequences)}, the other {', '.join(after.sequences)}",
            fix="Compare scans of the same sequences",
        )
    fixed, moving = before.images[modality], after.images[modality]
    around = _within(before.foreground(), before.grid, _AROUND_BRAIN_MM)
    known = _within(lesion_before, before.grid, _AROUND_LESION_MM)
    movement: Movement = register(fixed, before.grid, moving, after.grid, around & ~known)
    for _ in range(1 if lesion_after.any() else 0):
        carried = carried_mask(lesion_after, after.grid, before.grid, np.linalg.inv(movement.matrix))
        known = known | _within(carried, before.grid, _AROUND_LESION_MM)
        movement = register(fixed, before.grid, moving, after.grid, around & ~known, start=movement.matrix)
    likeness, shared = _compared(before, after, modality, known, movement.matrix)
    if shared < _LEAST_SHARED:
        raise InputError(
            f"Scans '{before.id}' and '{after.id}' do not show the same part of the head",
            why=f"{shared:.0%} of the smaller brain lies in both",
            fix="Compare scans that cover the same region",
        )
    if likeness < _LEAST_LIKENESS:
        raise InputError(
            f"Scans '{before.id}' and '{after.id}' do not seem to show one person",
            why=f"after alignment the fine structure of {modality} correlates by {likeness:.2f}, at least "
            f"{_LEAST_LIKENESS:g} is expected of one brain",
            fix="Check which scans belong together",
        )
    points = apply_affine(before.affine, np.argwhere(before.foreground())[::97])
    return Visits(movement.matrix, modality, likeness, shared, float(movement.moved_mm(points).mean()))


def _within(mask: NDArray[np.bool_], grid: Grid, distance_mm: float) -> NDArray[np.bool_]:
    return np.asarray(away_mm(mask, grid.spacing_mm) <= distance_mm)


def _compared(
    before: Scan, after: Scan, modality: Modality, lesions: NDArray[np.bool_], movement: NDArray[np.float64]
) -> tuple[float, float]:
    """Likeness and shared part, on one coarse grid."""
    grid = grid_at(before.grid, [max(edge, _VOXEL_MM) for edge in before.spacing_mm])
    still = np.eye(4)
    brains = (
        carried_mask(before.foreground(), before.grid, grid, still),
        carried_mask(after.foreground(), after.grid, grid, np.linalg.inv(movement)),
    )
    both = brains[0] & brains[1]
    whole = int(after.foreground().sum() * after.voxel_ml / grid.voxel_ml)  # were all of the later brain on the grid
    shared = float(both.sum()) / max(1, min(int(brains[0].sum()), whole))
    where = both & ~carried_mask(lesions, before.grid, grid, still)
    if where.sum() < 100:
        return 0.0, shared
    one = _fine(drawn(before.images[modality], before.grid, grid, still), where, grid)
    other = _fine(drawn(after.images[modality], after.grid, grid, movement), where, grid)
    return float(np.corrcoef(one, other)[0, 1]), shared


def _fine(image: NDArray[np.float32], where: NDArray[np.bool_], grid: Grid) -> NDArray[np.float32]:
    """Structure between the two blurs inside a mask, taking nothing from outside it, (N,)."""
    fine, coarse = (SmoothingInside(where, mm, grid.spacing_mm, least=1e-6)(image) for mm in (_FINE_MM, _COARSE_MM))
    return (fine - coarse)[where]

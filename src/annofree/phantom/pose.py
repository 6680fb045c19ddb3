"""The head laid down anew: other slices through the same brain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from annofree.formats.grids import resample
from annofree.scan import Grid, Scan


def reposed(
    scan: Scan,
    turn_deg: tuple[float, float, float],
    shift_mm: tuple[float, float, float],
    spacing_mm: tuple[float, float, float] | None = None,
) -> tuple[Scan, NDArray[np.float64]]:
    """The same brain after the head moved in the scanner, with slices of their own.

    Args:
        scan: Any scan; its brain mask, or what is not background, moves along.
        turn_deg: Turns about X, Y and Z through the middle of the scan, one after the other.
        shift_mm: Shift afterwards.
        spacing_mm: Edges of the new voxels; None keeps the scan's. Longer ones are averages.

    Returns:
        The scan, and the movement (4, 4): a point of the old world in mm to the same anatomy in the new one.
    """
    own, shape = np.asarray(scan.spacing_mm), np.asarray(scan.shape)
    edges = own if spacing_mm is None else np.asarray(spacing_mm)
    middle = scan.affine[:3, :3] @ ((shape - 1) / 2) + scan.affine[:3, 3]
    movement = np.eye(4)
    movement[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    movement[:3, 3] = middle + np.asarray(shift_mm) - movement[:3, :3] @ middle
    x, y, z = (int(n) for n in np.ceil(shape * own / edges))
    affine = np.eye(4)
    affine[:3, :3] = scan.affine[:3, :3] / own * edges
    affine[:3, 3] = movement[:3, :3] @ middle + movement[:3, 3] - affine[:3, :3] @ ((np.array([x, y, z]) - 1) / 2)
    there = Grid((x, y, z), np.linalg.inv(movement) @ affine)
    width = np.sqrt(np.maximum((edges / own) ** 2 - 1, 0)) / 2.3548  # a longer voxel's profile from a shorter one's
    brain = resample(scan.foreground(), scan.grid, there, 0)
    images = {
        name: np.where(brain, resample(ndimage.gaussian_filter(image, width), scan.grid, there, 1), 0)
        for name, image in scan.images.items()
    }
    return scan.replace(images=images, affine=affine, native=Grid((x, y, z), affine), brain=brain), movement

"""A made head: brain of three tissues, fluid, skull and scalp, seen by two contrasts, on any grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.scan import Grid

_GREY = {
    "T1": {"air": 0, "scalp": 230, "skull": 30, "fluid": 40, "grey": 110, "white": 160, "lump": 80},
    "FLAIR": {"air": 0, "scalp": 180, "skull": 25, "fluid": 30, "grey": 120, "white": 95, "lump": 210},
}


def tissues(points: NDArray[np.float64]) -> NDArray[np.str_]:
    """The tissue at points (N, 3) in mm; not symmetric, so that every movement shows."""
    x, y, z = points.T
    radius = np.sqrt((x / 70) ** 2 + (y / 88) ** 2 + (z / 66) ** 2)
    folds = 0.06 * np.sin(x / 6.0) * np.cos(y / 7.0) * np.sin(z / 5.0 + x / 30)
    deep = np.sqrt(((x - 12) / 14) ** 2 + ((y + 5) / 28) ** 2 + ((z - 5) / 12) ** 2)
    deep2 = np.sqrt(((x + 14) / 12) ** 2 + ((y - 3) / 25) ** 2 + ((z - 4) / 14) ** 2)
    lump = np.sqrt((x - 35) ** 2 + (y - 30) ** 2 + (z - 20) ** 2) < 14
    where = np.full(len(points), "air", dtype="<U6")
    for name, inside in (
        ("scalp", radius < 1.22),
        ("skull", radius < 1.14),
        ("fluid", radius < 1.05),
        ("grey", radius < 1.0),
        ("white", radius + folds < 0.82),
        ("fluid", (deep < 1) | (deep2 < 1)),
        ("lump", lump & (radius < 1)),
    ):
        where[inside] = name
    return where


def brain_of(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The brain with its fluid."""
    x, y, z = points.T
    return (x / 70) ** 2 + (y / 88) ** 2 + (z / 66) ** 2 < 1.05**2


def points_of(grid: Grid) -> NDArray[np.float64]:
    """World positions (N, 3) of a grid's voxels."""
    voxels = np.indices(grid.shape).reshape(3, -1).T
    return voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def head(contrast: str, grid: Grid, movement: NDArray[np.float64] | None = None, seed: int = 0) -> NDArray[np.float32]:
    """The head on a grid; `movement` (4, 4) takes the head's world to the grid's."""
    points = points_of(grid)
    if movement is not None:
        back = np.linalg.inv(movement)
        points = points @ back[:3, :3].T + back[:3, 3]
    levels = _GREY[contrast]
    names, index = np.unique(tissues(points), return_inverse=True)
    image = np.array([levels[name] for name in names], dtype=np.float32)[index].reshape(grid.shape)
    noise = np.random.default_rng(seed).normal(0, 4, grid.shape)
    return np.abs(ndimage.gaussian_filter(image, 0.5) + noise).astype(np.float32)


def grid(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], turn_deg: float = 0.0) -> Grid:
    """A grid about the origin, turned about the body's axis."""
    angle = np.deg2rad(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * np.asarray(spacing_mm)
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(shape, affine)


def movement(shift_mm: tuple[float, float, float], pitch_deg: float) -> NDArray[np.float64]:
    """A shift after a nod."""
    angle = np.deg2rad(pitch_deg)
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = shift_mm
    return matrix
